// What came of one file: the answer, the clip beside its timeline, and why.

import { downloadButtons } from "./download.js";
import { jpeg, makePlayer } from "./player.js";
import { makeTable, makeTimeline } from "./timeline.js";
import { clock, count, duration, element, isNoLabel, percent } from "./text.js";

/** {node, stop()}, of an answer and of how its file can be shown. */
export function makeResult(answer, shown) {
  const now = element("p", { class: "now" });
  let timeline = null;
  const onTime = (seconds) => {
    if (timeline === null) return;
    const span = timeline.show(seconds);
    now.replaceChildren(
      element("span", { class: "now-time", text: clock(Math.min(seconds, answer.seconds)) }),
      element("strong", { text: span.label }),
      element("span", { class: "muted", text: percent(span.confidence) }),
    );
  };
  const player = makePlayer(shown, answer, onTime);
  const go = (seconds) => {
    player?.seek(seconds + 0.001);
    player?.play();
    onTime(seconds);
  };
  if (answer.timeline) timeline = makeTimeline(answer, go);
  onTime(0);

  const parts = [
    headline(answer),
    element(
      "div", { class: "view" },
      player && element("div", { class: "view-clip" }, player.node, ...(timeline ? [now] : [])),
      ranking(answer),
    ),
  ];
  if (timeline) {
    parts.push(
      element(
        "section", { class: "part" },
        element("h3", { text: "What happens when" }),
        timeline.node,
        makeTable(answer.timeline),
      ),
    );
  }
  if (answer.deciding?.length) parts.push(deciding(answer, go));
  return { node: element("div", {}, ...parts), stop: () => player?.stop() };
}

function headline(answer) {
  const unsure = isNoLabel(answer.action);
  const looked = answer.timeline || answer.frames > 1
    ? `${duration(answer.seconds)}, ${count(answer.frames, "frame")} looked at`
    : "one picture";
  const several = new Set((answer.timeline ?? []).map((span) => span.label).filter((label) => !isNoLabel(label))).size;
  return element(
    "header", { class: "answer" },
    element(
      "div", { class: "answer-file" },
      element("p", { class: "small muted file", text: `${answer.file} · ${looked}` }),
      element("div", { class: "downloads" }, ...downloadButtons(answer.file, () => [answer])),
    ),
    element(
      "h2", { id: "answer", tabindex: "-1" },
      element("span", { class: unsure ? "label unsure" : "label", text: answer.labels?.map(({ label }) => label).join(", ") || answer.action }),
      " ",
      element("span", { class: "share", text: unsure || answer.labels ? "" : percent(answer.confidence) }),
    ),
    several > 1
      ? element("p", { class: "muted", text: `Over the whole video. ${several} actions come up in it: see below when.` })
      : null,
    ...answer.doubts.map((text) => element("p", { class: "doubt", text })),
  );
}

function ranking(answer) {
  // Where several labels may hold, those that do stand out; else the first one.
  const first = (answer.labels ?? answer.top.slice(0, 1)).map(({ label }) => label);
  const rows = answer.top.map(({ label, confidence }) => {
    const fill = element("span");
    fill.style.width = `${(100 * confidence).toFixed(2)}%`;
    return element(
      "li", { class: first.includes(label) ? "first" : "" },
      element("span", { class: "rank-label", text: label, title: label }),
      element("span", { class: "rank-share", text: percent(confidence) }),
      element("span", { class: "bar", "aria-hidden": "true" }, fill),
    );
  });
  return element(
    "section", { class: "ranking" },
    element("h3", { text: answer.timeline ? "Over the whole video" : "What it could be" }),
    element("ol", {}, ...rows),
  );
}

function deciding(answer, go) {
  const label = answer.top[0].label;
  const figures = answer.deciding.map((frame) => {
    const change = `${percent(frame.confidence)} → ${percent(frame.without)}`;
    return element(
      "li", {},
      element(
        "button", {
          type: "button", class: "frame", onclick: () => go(frame.seconds),
          "aria-label": `Frame at ${clock(frame.seconds)}; without it ${label} falls from ${percent(frame.confidence)} to ${percent(frame.without)}`,
        },
        element("img", { src: jpeg(frame), alt: "" }),
        element("span", {}, element("span", { text: clock(frame.seconds) }), element("span", { text: change })),
      ),
    );
  });
  return element(
    "section", { class: "part" },
    element("h3", { text: "Frames that decided it" }),
    element("p", {
      class: "muted small",
      text: `How sure of ${label} the model is without each of them, in the part that it is surest of.`,
    }),
    element("ul", { class: "frames" }, ...figures),
  );
}
