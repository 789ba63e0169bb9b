// The files of this visit: each waits, is sent, is worked on, and ends with an answer or a problem.

import { downloadButtons } from "./download.js";
import { inspect } from "./player.js";
import { Problem, predict } from "./server.js";
import { makeResult } from "./result.js";
import { announce, count, element, isNoLabel, megabytes, percent } from "./text.js";

const AT_ONCE = 2; // files that are sent or worked on
const ATTEMPTS = 30; // of a file while the server is busy

export class Queue {
  #items = [];
  #running = 0;
  #chosen = null;
  #shown = null; // the result that is on the page
  #model;

  constructor(model) {
    this.#model = model;
    this.list = document.getElementById("queue-list");
    this.result = document.getElementById("result");
  }

  /** Take in files; the first of them is shown as soon as it is answered. */
  add(files) {
    const fresh = [...files].map((file) => this.#makeItem(file));
    if (!fresh.length) return;
    this.#items.push(...fresh);
    this.list.append(...fresh.map((item) => item.node));
    document.body.dataset.state = "working";
    this.#choose(fresh[0]);
    announce(`${count(fresh.length, "file")} added.`);
    this.#next();
  }

  #makeItem(file) {
    const item = { file, state: "waiting", stop: new AbortController() };
    item.status = element("span", { class: "item-status", text: "Waiting" });
    item.bar = element("progress", { max: 1, value: 0, "aria-label": `Progress of ${file.name}`, hidden: true });
    item.button = element(
      "button", { type: "button", class: "item-name", onclick: () => this.#choose(item, true) },
      element("span", { class: "item-file", text: file.name, title: file.name }),
      item.status,
    );
    item.node = element(
      "li", { class: "item" },
      item.button,
      element("button", {
        type: "button", class: "item-remove", text: "×", "aria-label": `Remove ${file.name}`, onclick: () => this.#remove(item),
      }),
      item.bar,
    );
    return item;
  }

  #next() {
    while (this.#running < AT_ONCE) {
      const item = this.#items.find((one) => one.state === "waiting");
      if (!item) break;
      this.#running += 1;
      this.#run(item).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
    document.getElementById("queue").hidden = this.#items.length < 2;
    this.#offerAll();
  }

  async #run(item) {
    this.#set(item, "running", "Opening");
    try {
      this.#check(item.file);
      item.shown ??= await inspect(item.file);
      item.answer = await this.#ask(item);
      const { action, confidence } = item.answer;
      this.#set(item, "done", isNoLabel(action) ? action : `${action} ${percent(confidence)}`);
      announce(`${item.file.name}: ${item.status.textContent}.`);
    } catch (problem) {
      if (item.stop.signal.aborted) return;
      item.problem = problem instanceof Problem ? problem.message : `Something went wrong in this page (${problem.message}).`;
      this.#set(item, "failed", "Not recognised");
    }
    if (this.#chosen === item) this.#show();
  }

  #check(file) {
    const most = this.#model.most_bytes;
    if (file.size > most) {
      throw new Problem(413, `The file has ${megabytes(file.size)}, and this server takes ${megabytes(most)}: send a shorter or smaller version of it.`);
    }
    if (!file.size) throw new Problem(422, "The file is empty.");
  }

  async #ask(item) {
    const tell = ({ sent, frames, of }) => {
      if (frames) {
        const share = of ? Math.min(frames / of, 1) : undefined;
        this.#set(item, "running", of ? `Recognising, ${Math.round(100 * share)} %` : `Recognising, frame ${frames}`, share);
      } else {
        this.#set(item, "running", sent < 1 ? `Sending, ${Math.round(100 * sent)} %` : "Recognising", sent < 1 ? sent : undefined);
      }
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const preview = item.shown.kind === "unknown";
        return await predict(item.file, { preview, tell, signal: item.stop.signal });
      } catch (problem) {
        if (!(problem.retryAfter > 0) || attempt === ATTEMPTS || item.stop.signal.aborted) throw problem;
        await this.#waitForTurn(item, problem.retryAfter);
      }
    }
  }

  async #waitForTurn(item, seconds) {
    for (let left = Math.ceil(seconds); left > 0 && !item.stop.signal.aborted; left -= 1) {
      this.#set(item, "running", `The server is busy; trying again in ${left} s`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  /** `share`: how far it is, 0 to 1; undefined where nobody knows. */
  #set(item, state, text, share) {
    item.state = state;
    item.node.dataset.state = state;
    item.status.textContent = text;
    item.bar.hidden = state !== "running";
    if (share === undefined) item.bar.removeAttribute("value");
    else item.bar.value = share;
    if (this.#chosen === item && state === "running") this.#showProgress(item);
  }

  #retry(item) {
    this.#set(item, "waiting", "Waiting");
    item.problem = null;
    this.#choose(item);
    this.#next();
  }

  #remove(item) {
    const place = this.#items.indexOf(item);
    item.stop.abort();
    item.state = "gone";
    this.#items.splice(place, 1);
    item.node.remove();
    if (item.shown?.url) URL.revokeObjectURL(item.shown.url);
    if (this.#chosen === item) this.#choose(this.#items[Math.min(place, this.#items.length - 1)] ?? null);
    if (!this.#items.length) document.body.dataset.state = "empty";
    announce(`${item.file.name} removed.`);
    this.#next();
    (this.#items[Math.min(place, this.#items.length - 1)]?.button ?? document.getElementById("files")).focus();
  }

  #choose(item, byHand = false) {
    this.#chosen = item;
    for (const one of this.#items) {
      if (one === item) one.button.setAttribute("aria-current", "true");
      else one.button.removeAttribute("aria-current");
    }
    this.#show();
    if (byHand && item?.state === "done") {
      const target = document.getElementById("answer");
      target.focus({ preventScroll: true });
      if (matchMedia("(max-width: 800px)").matches) this.result.scrollIntoView();
    }
  }

  #show() {
    this.#shown?.stop();
    this.#shown = null;
    const item = this.#chosen;
    this.result.hidden = item === null;
    if (item === null) return this.result.replaceChildren();
    if (item.state === "done") {
      this.#shown = makeResult(item.answer, item.shown);
      this.result.replaceChildren(this.#shown.node);
    } else if (item.state === "failed") {
      this.result.replaceChildren(
        element(
          "div", { class: "problem", role: "alert" },
          element("h2", { text: `${item.file.name} could not be recognised` }),
          element("p", { text: item.problem }),
          element("div", { class: "row" },
            element("button", { type: "button", class: "button", text: "Try again", onclick: () => this.#retry(item) }),
            element("button", { type: "button", class: "button quiet", text: "Remove", onclick: () => this.#remove(item) }),
          ),
        ),
      );
    } else {
      this.#showProgress(item);
    }
  }

  /** Large, in the place of the result. */
  #showProgress(item) {
    let box = this.result.querySelector(".progress");
    if (!box || box.dataset.of !== item.file.name) {
      box = element(
        "div", { class: "progress" },
        element("p", { class: "file", text: item.file.name }),
        element("p", { class: "progress-text" }),
        element("progress", { max: 1, "aria-label": `Progress of ${item.file.name}` }),
      );
      box.dataset.of = item.file.name;
      this.result.replaceChildren(box);
    }
    box.querySelector(".progress-text").textContent = item.status.textContent;
    const bar = box.querySelector("progress");
    if (item.bar.hasAttribute("value") && item.state === "running") bar.value = item.bar.value;
    else bar.removeAttribute("value");
  }

  #offerAll() {
    const done = () => this.#items.filter((item) => item.state === "done").map((item) => item.answer);
    const place = document.getElementById("queue-downloads");
    place.hidden = done().length < 2;
    if (!place.childElementCount) place.append(...downloadButtons("all files", done));
  }
}
