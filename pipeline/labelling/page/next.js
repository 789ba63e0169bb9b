// The token stands behind the # of the address, which a browser sends to nobody.
const token = location.hash.slice(1);
const at = id => document.getElementById(id);
const context = at("film").getContext("2d");
const SIDE = 224, PER_SECOND = 8, MOST_KEYS = 9;
let now = null, film = null, frame = 0, waiting = false;
let moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;

async function ask(path, body) {
  const options = { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  const answer = await fetch(path, options);
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.detail ?? `The server answered ${answer.status}.`);
  }
  return answer;
}

async function go(path, body) {
  if (waiting) return;
  waiting = true;
  try {
    show(await (await ask(path, body)).json());
    at("problem").hidden = true;
  } catch (error) {
    at("problem").textContent = error instanceof TypeError
      ? "The server does not answer: is `clipcache next` still running?" : error.message;
    at("problem").hidden = false;
  } finally {
    waiting = false;
  }
}

// Up to nine labels keep their keys; of more, the nine likeliest have them.
const choices = state => state.labels.length <= MOST_KEYS
  ? state.labels : state.question.likely.map(one => one.label);

function show(state) {
  now = state;
  at("progress").textContent = `${state.given} of ${state.wanted} labels given.`;
  at("bar").max = state.wanted;
  at("bar").value = state.given;
  at("asking").hidden = !state.question;
  at("done").hidden = Boolean(state.question);
  at("title").textContent = state.question ? "What does this clip show?" : "Thank you.";
  at("undo").disabled = at("undo-last").disabled = !state.given;
  if (!state.question) return;
  at("clip").textContent = state.question.clip;
  const share = new Map(state.question.likely.map(one => [one.label, one.share]));
  at("choices").replaceChildren(...choices(state).map((label, i) => {
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = i + 1;
    button.type = "button";
    button.append(key, ` ${label}`);
    if (state.labels.length > 1 && share.has(label)) {
      const guess = document.createElement("small");
      guess.textContent = `${Math.round(100 * share.get(label))} %`;
      button.append(guess);
    }
    button.addEventListener("click", () => give(label));
    return button;
  }));
  at("labels").replaceChildren(...state.labels.map(label => new Option(label, label)));
  at("label").value = "";
  load(state.question);
}

async function load(question) {
  film = null;
  context.clearRect(0, 0, SIDE, SIDE);
  try {
    const picture = await createImageBitmap(await (await ask(`preview/${question.row}`)).blob());
    if (now.question?.row !== question.row) return;
    film = { picture, count: Math.max(1, Math.round(picture.width / picture.height)) };
    frame = 0;
    draw();
  } catch (error) {
    context.fillStyle = getComputedStyle(document.body).color;
    context.font = "14px sans-serif";
    context.fillText("no preview", 10, 24);
  }
}

function draw() {
  if (!film) return;
  const side = film.picture.height;
  context.drawImage(film.picture, frame * side, 0, side, side, 0, 0, SIDE, SIDE);
}

setInterval(() => {
  if (!film || !moving) return;
  frame = (frame + 1) % film.count;
  draw();
}, 1000 / PER_SECOND);

const give = label => now?.question && go("answer", { row: now.question.row, label });
const skip = () => now?.question && go("answer", { row: now.question.row, skip: true });
const undo = () => now?.given && go("undo", {});

at("skip").addEventListener("click", skip);
at("undo").addEventListener("click", undo);
at("undo-last").addEventListener("click", undo);
at("pause").addEventListener("click", () => { moving = !moving; });
at("other").addEventListener("submit", event => {
  event.preventDefault();
  if (at("label").value.trim()) give(at("label").value);
  at("label").blur();
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !now?.question && event.key !== "u") return;
  if (event.target === at("label")) {
    if (event.key === "Escape") at("label").blur();
    return;
  }
  const label = /^[1-9]$/.test(event.key) ? choices(now)[Number(event.key) - 1] : undefined;
  if (label !== undefined) give(label);
  else if (event.key === "s") skip();
  else if (event.key === "u") undo();
  else if (event.key === "/") { at("label").focus(); event.preventDefault(); }
  else if (event.key === " " && event.target.tagName !== "BUTTON") { moving = !moving; event.preventDefault(); }
});

if (token) go("question");
else show({ given: 0, wanted: 1, labels: [], question: null }),
  at("problem").textContent = "Open the address that `clipcache next` prints, with what stands behind its #.",
  at("problem").hidden = false;
