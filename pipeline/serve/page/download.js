// Answers as files: JSON as the API tells them, CSV as `clipcache predict --csv` writes it.

import { element } from "./text.js";

const PICTURES = ["deciding", "preview"]; // large, and no part of the answer

export function asJson(answers) {
  const plain = answers.map((answer) =>
    Object.fromEntries(Object.entries(answer).filter(([key]) => !PICTURES.includes(key))),
  );
  return JSON.stringify(plain, null, 2) + "\n";
}

/** A row for each span; or for each file, where there are only pictures. */
export function asCsv(answers) {
  const spans = answers.flatMap((answer) =>
    (answer.timeline ?? []).map((span) => [
      answer.file, span.start.toFixed(3), span.end.toFixed(3), span.label, span.confidence.toFixed(6),
    ]),
  );
  if (spans.length) return rows([["file", "start", "end", "label", "confidence"], ...spans]);
  const files = answers.map((answer) => [
    answer.file, answer.action, answer.confidence.toFixed(6), answer.seconds.toFixed(3), answer.frames,
  ]);
  return rows([["file", "label", "confidence", "seconds", "frames"], ...files]);
}

function rows(table) {
  const cell = (value) => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return table.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** Two buttons that save what `answers()` gives under a name. */
export function downloadButtons(name, answers) {
  const button = (kind, type, write) =>
    element("button", {
      type: "button",
      class: "button quiet",
      text: kind.toUpperCase(),
      "aria-label": `Download ${name} as ${kind.toUpperCase()}`,
      onclick: () => save(new Blob([write(answers())], { type }), `${name}.${kind}`),
    });
  return [button("json", "application/json", asJson), button("csv", "text/csv", asCsv)];
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
