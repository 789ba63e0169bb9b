// The webcam: a few seconds recorded as a file, or its newest frames recognised over and over.

import { predictFrames } from "./server.js";
import { announce, clock, element, isNoLabel, percent } from "./text.js";

const FORMATS = ["video/webm;codecs=vp8", "video/webm", "video/mp4"];
const RATE = 8; // frames a second that are sent, where the model does not ask for fewer
const MOST_FRAMES = 32; // in the newest window
const LEAST_FRAMES = 4;
const SIDE = 320; // pixels, the longer side of a frame that is sent
const QUALITY = 0.8; // of JPEG
const PAUSE = 600; // milliseconds, at least, from one answer to the next question
const HISTORY = 24; // answers that stay visible
const LONGEST = 60; // seconds of a recording
const NO_CAMERA = "A browser lets a page use the camera only on this machine, or over https.";

let stream = null;
let leave = () => {};

export async function openCamera(mode, model, add) {
  closeCamera();
  const panel = document.getElementById("camera");
  const side = document.getElementById("camera-side");
  document.getElementById("camera-title").textContent = mode === "live" ? "Live" : "Record a video";
  side.replaceChildren(element("p", { class: "muted", text: "Waiting for the camera: your browser may ask whether this page may use it." }));
  panel.hidden = false;
  panel.scrollIntoView({ block: "nearest" });
  document.getElementById("camera-close").focus();
  try {
    if (!navigator.mediaDevices) throw new Error(NO_CAMERA);
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } } });
  } catch (error) {
    const text = error.name === "NotAllowedError"
      ? "The camera was not allowed: allow it in your browser's settings for this page, then try again."
      : error.name === "NotFoundError" ? "There is no camera at this machine." : error.message;
    side.replaceChildren(element("p", { class: "problem", role: "alert", text }));
    return;
  }
  if (panel.hidden) return stopStream(); // closed meanwhile
  const picture = document.getElementById("camera-picture");
  picture.srcObject = stream;
  await picture.play().catch(() => {});
  if (mode === "live") live(picture, side, model);
  else record(side, model, add);
}

export function closeCamera() {
  leave();
  leave = () => {};
  stopStream();
  document.getElementById("camera-picture").srcObject = null;
  document.getElementById("camera").hidden = true;
}

function stopStream() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
}

function record(side, model, add) {
  const type = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
  const longest = Math.min(LONGEST, Math.floor(model.most_seconds));
  const time = element("p", { class: "camera-time", text: clock(0) });
  const button = element("button", { type: "button", class: "button primary", text: "Start recording" });
  side.replaceChildren(
    time,
    button,
    element("p", { class: "muted small", text: `A few seconds are enough; at most ${longest}.` }),
  );
  let recorder = null;
  let ticking = 0;
  const finish = () => recorder?.state === "recording" && recorder.stop();
  const begin = () => {
    const parts = [];
    const started = performance.now();
    recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      clearInterval(ticking);
      const kind = recorder.mimeType.includes("mp4") ? "mp4" : "webm";
      const at = new Date().toTimeString().slice(0, 8).replaceAll(":", "");
      const file = new File(parts, `recording-${at}.${kind}`, { type: recorder.mimeType });
      closeCamera();
      if (file.size) add([file]);
    };
    recorder.start();
    side.classList.add("recording");
    button.textContent = "Stop and recognise";
    announce("Recording.");
    ticking = setInterval(() => {
      const seconds = (performance.now() - started) / 1000;
      time.textContent = clock(seconds);
      if (seconds >= longest) finish();
    }, 100);
  };
  button.addEventListener("click", () => (recorder ? finish() : begin()));
  button.focus();
  leave = () => {
    clearInterval(ticking);
    side.classList.remove("recording");
    if (recorder?.state === "recording") {
      recorder.onstop = null;
      recorder.stop();
    }
  };
}

function live(picture, side, model) {
  const rate = Math.min(model.frames_per_second ?? RATE, RATE);
  const steps = Math.min(MOST_FRAMES, model.most_files, Math.max(LEAST_FRAMES, Math.round(model.window_seconds * rate)));
  const label = element("p", { class: "live-label", text: "…" });
  const share = element("p", { class: "live-share muted", text: "Looking" });
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const history = element("ol", { class: "live-history", "aria-label": "The last answers" });
  side.replaceChildren(label, share, problem, history);
  const canvas = document.createElement("canvas");
  const frames = [];
  const stop = new AbortController();

  const grab = () => {
    if (!picture.videoWidth) return;
    const scale = Math.min(1, SIDE / Math.max(picture.videoWidth, picture.videoHeight));
    canvas.width = Math.round(picture.videoWidth * scale);
    canvas.height = Math.round(picture.videoHeight * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(
      (blob) => {
        if (blob) frames.push(blob);
        if (frames.length > steps) frames.shift();
      },
      "image/jpeg", QUALITY,
    );
  };
  const grabbing = setInterval(grab, 1000 / rate);

  const told = (answer) => {
    const said = answer.action;
    if (label.textContent !== said) announce(said);
    label.textContent = said;
    label.classList.toggle("unsure", isNoLabel(said));
    share.textContent = answer.doubts[0] ?? percent(answer.confidence);
    const bar = element("li", { title: `${said} ${percent(answer.confidence)}` });
    bar.append(element("span", { class: "unseen", text: `${said} ${percent(answer.confidence)}` }));
    bar.style.setProperty("--sure", answer.confidence.toFixed(3));
    history.append(bar);
    if (history.childElementCount > HISTORY) history.firstChild.remove();
  };
  const ask = async () => {
    while (!stop.signal.aborted) {
      let pause = PAUSE;
      if (frames.length >= LEAST_FRAMES && !document.hidden) {
        try {
          told(await predictFrames([...frames], rate, stop.signal));
          problem.hidden = true;
        } catch (error) {
          if (stop.signal.aborted) return;
          problem.textContent = error.message;
          problem.hidden = false;
          pause = 1000 * (error.retryAfter ?? 3);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  };
  leave = () => {
    clearInterval(grabbing);
    stop.abort();
  };
  ask();
}
