"use strict";
{
  const cards = Array.from(document.querySelectorAll(".doubts li"));
  const status = document.getElementById("chosen");
  const download = document.getElementById("download");
  const field = card => card.querySelector("input");
  const chosen = card => field(card).value.trim();
  const changed = () => cards.filter(card => chosen(card) && chosen(card) !== card.dataset.label);

  function show() {
    const now = changed();
    cards.forEach(card => card.classList.toggle("changed", now.includes(card)));
    download.disabled = !now.length;
    status.textContent = now.length
      ? `${now.length} ${now.length === 1 ? "label" : "labels"} changed.` : "No label changed yet.";
  }
  function give(card, label) {
    field(card).value = label;
    show();
  }
  const cell = text => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

  cards.forEach(card => {
    card.querySelector(".take").addEventListener("click", () => give(card, card.dataset.suggested));
    field(card).addEventListener("input", show);
    field(card).addEventListener("focus", event => event.target.select());
    field(card).addEventListener("keydown", event => {
      if (event.key === "Escape" || event.key === "Enter") { card.focus(); event.preventDefault(); }
    });
  });
  document.addEventListener("keydown", event => {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = cards.indexOf(document.activeElement.closest(".doubts li"));
    const step = { j: 1, k: -1 }[event.key];
    if (step) {
      const next = cards[Math.min(Math.max(here + step, 0), cards.length - 1)];
      if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
    } else if (here >= 0 && event.key === "s") give(cards[here], cards[here].dataset.suggested);
    else if (here >= 0 && event.key === "o") give(cards[here], cards[here].dataset.label);
  });
  download.addEventListener("click", () => {
    const rows = changed().map(card => [card.dataset.clip, card.dataset.label, chosen(card)]);
    const text = [["clip_id", "was", "label"], ...rows]
      .map(row => row.map(cell).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "corrections.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  show();
}
