// The server's API; the page uses nothing else.

const TOKEN = "clipcache.token";
const WAIT_MOST = 60; // seconds, whatever Retry-After says
const AGAIN = new Set([429, 503]); // statuses that a later attempt may not meet
const UNREACHABLE = "The server cannot be reached. Is it running, and are you connected?";

/** A request that was not answered with what was asked for. */
export class Problem extends Error {
  constructor(status, sentence, retryAfter = null) {
    super(sentence);
    this.status = status;
    this.retryAfter = AGAIN.has(status) ? Math.min(retryAfter ?? 5, WAIT_MOST) : null;
  }
}

let asked = null; // a dialog that is open, so that many requests open one

/** Ask for the token until the server knows it. */
function askToken() {
  asked ??= new Promise((resolve) => {
    const dialog = document.getElementById("token");
    const input = document.getElementById("token-text");
    document.getElementById("token-wrong").hidden = !sessionStorage.getItem(TOKEN);
    input.value = "";
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener(
      "close",
      () => {
        sessionStorage.setItem(TOKEN, input.value);
        asked = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asked;
}

function authorization() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function get(path) {
  for (;;) {
    let answer;
    try {
      answer = await fetch(path, { headers: authorization() });
    } catch {
      throw new Problem(0, UNREACHABLE);
    }
    if (answer.ok) return answer;
    if (answer.status !== 401) throw problemOf(answer.status, await answer.text(), answer.headers.get("Retry-After"));
    await askToken();
  }
}

/** What the model knows, and what the server takes. */
export async function readModel() {
  return (await get("v1/model")).json();
}

/** One of the clips to try, as a file. */
export async function readExample(example) {
  return new File([await (await get(example.path.replace(/^\//, ""))).blob()], example.name);
}

/**
 * What is seen in a file.
 *
 * `tell({sent})` is called with the share that is on its way, `tell({frames, of})` while a worker
 * is at it. Rejects with a Problem; `signal` stops it.
 */
export async function predict(file, { preview = false, tell = () => {}, signal }) {
  for (;;) {
    try {
      return await predictOnce(file, preview, tell, signal);
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      await askToken();
    }
  }
}

function predictOnce(file, preview, tell, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    request.open("POST", `v1/predict?deciding=true&preview=${preview}`);
    request.setRequestHeader("Accept", "text/event-stream");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    const stop = () => request.abort();
    signal.addEventListener("abort", stop, { once: true });
    let read = 0;
    let outcome = null;

    const follow = () => {
      const end = request.responseText.lastIndexOf("\n\n");
      if (request.status !== 200 || end < read) return;
      for (const [name, data] of events(request.responseText.slice(read, end))) {
        if (name === "progress" && data.state === "working") tell({ frames: data.frames, of: data.of });
        if (name === "prediction" || name === "problem") outcome = [name, data];
      }
      read = end + 2;
    };
    request.upload.onprogress = (event) => event.total && tell({ sent: event.loaded / event.total });
    request.upload.onload = () => tell({ sent: 1 });
    request.onprogress = follow;
    request.onload = () => {
      follow();
      if (request.status !== 200) {
        reject(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
      } else if (outcome === null) {
        reject(new Problem(0, "The answer broke off in the middle: try again."));
      } else if (outcome[0] === "problem") {
        reject(new Problem(outcome[1].status, outcome[1].detail));
      } else {
        resolve(outcome[1]);
      }
    };
    request.onerror = () => reject(new Problem(0, UNREACHABLE));
    request.onabort = () => reject(new Problem(0, "Stopped."));
    request.onloadend = () => signal.removeEventListener("abort", stop);
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}

/** What is seen in frames, `rate` a second. */
export async function predictFrames(frames, rate, signal) {
  const form = new FormData();
  frames.forEach((frame, place) => form.append("files", frame, `frame ${place + 1}`));
  let answer;
  try {
    answer = await fetch(`v1/predict?frame_rate=${rate}`, {
      method: "POST", body: form, headers: authorization(), signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, UNREACHABLE);
  }
  if (answer.status === 401) {
    await askToken();
    return predictFrames(frames, rate, signal);
  }
  if (!answer.ok) throw problemOf(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  return answer.json();
}

/** Name and data of each event; comments are passed over. */
function events(text) {
  return text
    .split("\n\n")
    .map((block) => {
      const lines = block.split("\n");
      const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      return name ? [name, JSON.parse(data.join("\n"))] : null;
    })
    .filter((one) => one !== null);
}

function problemOf(status, text, retryAfter) {
  let sentence = `The server answered with status ${status}.`;
  try {
    sentence = JSON.parse(text).detail ?? sentence;
  } catch {
    // not one of the server's own sentences: a proxy in between
  }
  return new Problem(status, sentence, retryAfter === null ? null : Number(retryAfter) || null);
}
