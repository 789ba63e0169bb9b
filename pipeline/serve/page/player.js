// What shows a clip: the browser's own player, small pictures where it cannot play it, or a still.

import { clock, element } from "./text.js";

const LOAD_SECONDS = 4; // for the browser to find out whether it can play a file
const FAR = 1e7; // seconds; seeking there makes a browser find the end of a recording

/**
 * How a file can be shown: {kind: "video" | "image" | "unknown", url, seconds}.
 *
 * Content decides, not the name: whatever the browser can open, it shows.
 */
export async function inspect(file) {
  const url = URL.createObjectURL(file);
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (await loads(Object.assign(new Image(), { src: url })) && !isGif(head)) return { kind: "image", url };
  const video = element("video", { muted: true, preload: "metadata" });
  video.src = url;
  if (await loads(video, "loadeddata") && video.videoWidth > 0) {
    return { kind: "video", url, seconds: video.duration };
  }
  URL.revokeObjectURL(url);
  return { kind: "unknown", url: null };
}

function isGif(head) {
  return head[0] === 0x47 && head[1] === 0x49 && head[2] === 0x46; // animated: a video to the server
}

function loads(media, event = "load") {
  return new Promise((resolve) => {
    media.addEventListener(event, () => resolve(true), { once: true });
    media.addEventListener("error", () => resolve(false), { once: true });
    setTimeout(() => resolve(false), LOAD_SECONDS * 1000);
  });
}

/** The one interface of all three: node, seek(seconds), play(), and what is told of the time. */
export function makePlayer(shown, answer, onTime) {
  if (shown.kind === "video") return videoPlayer(shown.url, answer.file, onTime);
  if (shown.kind === "image") return stillPlayer(shown.url, answer.file);
  if (answer.preview?.length > 1) return flipPlayer(answer.preview, answer, onTime);
  if (answer.preview?.length) return stillPlayer(jpeg(answer.preview[0]), answer.file);
  return null;
}

export function jpeg(picture) {
  return `data:image/jpeg;base64,${picture.jpeg}`;
}

function stillPlayer(url, name) {
  const image = element("img", { src: url, alt: name });
  return { node: element("div", { class: "screen" }, image), seek() {}, play() {}, stop() {} };
}

function videoPlayer(url, name, onTime) {
  const video = element("video", { src: url, controls: true, playsinline: true, loop: true, "aria-label": name });
  video.muted = true; // sound is not what the model hears, and a click on a span may start it
  let frame = 0;
  const follow = () => {
    onTime(video.currentTime);
    if (!video.paused) frame = requestAnimationFrame(follow);
  };
  video.addEventListener("play", follow);
  video.addEventListener("timeupdate", () => onTime(video.currentTime));
  video.addEventListener("seeking", () => onTime(video.currentTime));
  video.addEventListener("loadedmetadata", () => {
    if (video.duration !== Infinity) return;
    video.addEventListener("durationchange", () => (video.currentTime = 0), { once: true });
    video.currentTime = FAR;
  });
  return {
    node: element("div", { class: "screen" }, video),
    seek: (seconds) => (video.currentTime = seconds),
    play: () => video.play().catch(() => {}),
    stop() {
      cancelAnimationFrame(frame);
      video.pause();
    },
  };
}

/** The pictures one after the other, as long as the clip takes. */
function flipPlayer(pictures, answer, onTime) {
  const urls = pictures.map(jpeg);
  const image = element("img", { src: urls[0], alt: answer.file });
  const button = element("button", { type: "button", class: "button flip-play", text: "Play" });
  const slider = element("input", {
    type: "range", min: 0, max: answer.seconds, step: 0.01, value: 0, "aria-label": "Time",
  });
  let now = 0;
  let frame = 0;
  let last = null;
  const show = (seconds) => {
    now = Math.min(Math.max(seconds, 0), answer.seconds);
    const next = pictures.findIndex((picture) => picture.seconds > now + 1e-6);
    image.src = urls[(next === -1 ? pictures.length : next) - 1] ?? urls[0];
    slider.value = now;
    slider.setAttribute("aria-valuetext", clock(now));
    onTime(now);
  };
  const step = (stamp) => {
    if (last !== null) show(now + (stamp - last) / 1000 >= answer.seconds ? 0 : now + (stamp - last) / 1000);
    last = stamp;
    frame = requestAnimationFrame(step);
  };
  const pause = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    button.textContent = "Play";
  };
  const play = () => {
    if (frame) return;
    last = null;
    button.textContent = "Pause";
    frame = requestAnimationFrame(step);
  };
  button.addEventListener("click", () => (frame ? pause() : play()));
  slider.addEventListener("input", () => show(Number(slider.value)));
  return {
    node: element(
      "div", { class: "flip" },
      element("div", { class: "screen" }, image),
      element("div", { class: "flip-bar" }, button, slider),
      element("p", {
        class: "small muted",
        text: "Your browser cannot play this format; these are some of its pictures.",
      }),
    ),
    seek: show,
    play,
    stop: pause,
  };
}
