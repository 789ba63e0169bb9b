// What happens when: a lane for each label, a bar wherever it is the answer, and the play head.

import { clock, element, isNoLabel, percent, tick, ticks } from "./text.js";

const MOST_LANES = 12; // labels; of more, those that hold the longest
const LANE = 2.25; // rem, as in page.css
const OTHERS = "others";

/** {node, show(seconds)}; `seek(seconds)` is called where somebody clicks. */
export function makeTimeline(answer, seek) {
  const { timeline: spans, seconds } = answer;
  const lanes = lanesOf(spans);
  const place = (label) => Math.max(0, lanes.indexOf(lanes.includes(label) ? label : OTHERS));
  const share = (at) => `${(100 * Math.min(Math.max(at / seconds, 0), 1)).toFixed(3)}%`;

  const bars = spans.map((span) => {
    const bar = element("button", {
      type: "button",
      class: `span${isNoLabel(span.label) ? " unsure" : ""}`,
      "aria-label": `${span.label}, from ${clock(span.start)} to ${clock(span.end)}, ${percent(span.confidence)}`,
      title: `${span.label} ${percent(span.confidence)}\n${clock(span.start)} to ${clock(span.end)}`,
      onclick: () => seek(span.start),
    });
    bar.style.left = share(span.start);
    bar.style.width = share(span.end - span.start);
    bar.style.top = `${place(span.label) * LANE}rem`;
    bar.style.setProperty("--sure", span.confidence.toFixed(3));
    return bar;
  });
  const head = element("div", { class: "head", "aria-hidden": "true" });
  const list = element("ol", { class: "spans" }, ...bars.map((bar) => element("li", {}, bar)));
  const track = element("div", { class: "track" }, list, head);
  track.style.height = `${lanes.length * LANE}rem`;
  track.addEventListener("click", (event) => {
    if (event.target.closest("button")) return;
    const { left, width } = track.getBoundingClientRect();
    seek(((event.clientX - left) / width) * seconds);
  });
  const ruler = element("div", { class: "ruler", "aria-hidden": "true" });
  for (const at of ticks(seconds, 8)) {
    const mark = element("span", { text: at === 0 ? "0 s" : tick(at) });
    mark.style.left = share(at);
    mark.classList.toggle("last", at > 0.96 * seconds);
    ruler.append(mark);
  }
  const names = element(
    "div", { class: "lanes", "aria-hidden": "true" },
    ...lanes.map((label) => element("span", { text: label, title: label })),
  );

  const show = (at) => {
    head.style.left = share(at);
    const current = spans.findLastIndex((span) => span.start <= at + 1e-3);
    bars.forEach((bar, i) => {
      if (i === current) bar.setAttribute("aria-current", "time");
      else bar.removeAttribute("aria-current");
    });
    [...names.children].forEach((name, i) => {
      name.classList.toggle("now", current >= 0 && place(spans[current].label) === i);
    });
    return spans[Math.max(current, 0)];
  };
  show(0);
  return { node: element("div", { class: "timeline" }, names, track, ruler), show };
}

/** Labels in the order in which they come up. */
function lanesOf(spans) {
  const held = new Map();
  for (const span of spans) held.set(span.label, (held.get(span.label) ?? 0) + span.end - span.start);
  const labels = [...held.keys()];
  if (labels.length <= MOST_LANES) return labels;
  const kept = new Set([...labels].sort((a, b) => held.get(b) - held.get(a)).slice(0, MOST_LANES - 1));
  return [...labels.filter((label) => kept.has(label)), OTHERS];
}

/** The same as a table, to be read and copied. */
export function makeTable(spans) {
  const row = (cell, values) => element("tr", {}, ...values.map((text) => element(cell, { text })));
  return element(
    "details", { class: "as-table" },
    element("summary", { text: "As a table" }),
    element(
      "div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What happens when, as a table" },
      element(
        "table", {},
        element("thead", {}, row("th", ["From", "To", "Action", "Confidence"])),
        element(
          "tbody", {},
          ...spans.map((span) => row("td", [clock(span.start), clock(span.end), span.label, percent(span.confidence)])),
        ),
      ),
    ),
  );
}
