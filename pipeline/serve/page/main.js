// The page: what can be given to it, and what the model behind it knows.

import { closeCamera, openCamera } from "./camera.js";
import { Queue } from "./queue.js";
import { readExample, readModel } from "./server.js";
import { count, duration, element, megabytes } from "./text.js";

const FEW = 40; // labels that are shown at once

const by = (id) => document.getElementById(id);

function tell(sentence, again) {
  const notice = by("notice");
  notice.replaceChildren(
    element("p", { text: sentence }),
    element("div", { class: "row" }, element("button", { type: "button", class: "button", text: "Try again", onclick: again })),
  );
  notice.hidden = false;
}

function showLabels(labels) {
  by("knows-title").textContent = `This model knows ${count(labels.length, "action")}`;
  const list = by("labels");
  const more = by("labels-more");
  const fill = (shown) => list.replaceChildren(...shown.map((text) => element("li", { text })));
  fill(labels.slice(0, FEW));
  more.hidden = labels.length <= FEW;
  more.textContent = `and ${count(labels.length - FEW, "other")}`;
  more.addEventListener("click", () => {
    fill(labels);
    more.hidden = true;
    list.children[FEW].tabIndex = -1;
    list.children[FEW].focus();
  });
  by("knows").hidden = false;
}

function showExamples(examples, queue) {
  const list = by("examples").querySelector("ul");
  for (const example of examples) {
    const take = async () => {
      try {
        queue.add([await readExample(example)]);
        by("notice").hidden = true;
      } catch (problem) {
        tell(problem.message, take);
      }
    };
    list.append(element("li", {}, element("button", { type: "button", class: "button", text: example.name, onclick: take })));
  }
  by("examples").hidden = examples.length === 0;
}

function acceptFiles(queue) {
  const input = by("files");
  input.addEventListener("change", () => {
    queue.add(input.files);
    input.value = ""; // so that the same file can be chosen again
  });
  let inside = 0;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  const over = (on) => document.body.classList.toggle("dragging", on);
  addEventListener("dragenter", (event) => {
    if (!files(event)) return;
    inside += 1;
    over(true);
  });
  addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    if (!inside) over(false);
  });
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault(); // anywhere on the page will do
    inside = 0;
    over(false);
    queue.add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => event.clipboardData?.files.length && queue.add(event.clipboardData.files));
}

async function start() {
  by("notice").hidden = true;
  let model;
  try {
    model = await readModel();
  } catch (problem) {
    return tell(problem.message, start);
  }
  const queue = new Queue(model);
  by("limits").textContent = `Up to ${megabytes(model.most_bytes)} and ${duration(model.most_seconds)} each.`;
  showLabels(model.labels);
  showExamples(model.examples, queue);
  acceptFiles(queue);
  const add = (files) => queue.add(files);
  by("record").addEventListener("click", () => openCamera("record", model, add));
  by("live").addEventListener("click", () => openCamera("live", model, add));
  by("camera-close").addEventListener("click", () => {
    closeCamera();
    by("record").focus();
  });
  document.documentElement.dataset.ready = "true";
}

start();
