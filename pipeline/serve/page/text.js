// Numbers as people read them, and elements whose text is always text.

const MINUTE = 60;

/** Seconds as "0:04.5", with hours where there are some. */
export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const rest = (tenths % (MINUTE * 10)) / 10;
  const minutes = Math.floor(tenths / (MINUTE * 10));
  const shown = rest.toFixed(1).padStart(4, "0");
  if (minutes < MINUTE) return `${minutes}:${shown}`;
  return `${Math.floor(minutes / MINUTE)}:${String(minutes % MINUTE).padStart(2, "0")}:${shown}`;
}

/** A round number of seconds on an axis: "5", "1:30". */
export function tick(seconds) {
  if (seconds < MINUTE) return String(seconds);
  const rest = String(Math.round(seconds % MINUTE)).padStart(2, "0");
  return `${Math.floor(seconds / MINUTE)}:${rest}`;
}

/** Round times from 0 to the end, evenly apart, about as many as there is room for. */
export function ticks(seconds, most) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
  const step = steps.find((one) => seconds / one <= most) ?? Math.ceil(seconds / most / 3600) * 3600;
  return Array.from({ length: Math.floor(seconds / step + 1e-9) + 1 }, (_, i) => +(i * step).toFixed(1));
}

/** A probability; no model is ever quite sure, whatever six digits say. */
export function percent(share) {
  if (share > 0.9995) return "> 99.9 %";
  if (share < 0.0005) return "< 0.1 %";
  return `${(100 * share).toFixed(1)} %`;
}

export function megabytes(bytes) {
  const mega = bytes / 1e6;
  return `${mega >= 10 ? Math.round(mega) : mega.toFixed(1)} MB`;
}

export function duration(seconds) {
  if (seconds < 120) return `${+seconds.toFixed(1)} seconds`;
  return `${+(seconds / MINUTE).toFixed(1)} minutes`;
}

export function count(amount, noun, plural = `${noun}s`) {
  return `${amount.toLocaleString("en")} ${amount === 1 ? noun : plural}`;
}

/**
 * A new element. Attributes are set as they are, `text` as text, `on...` as listeners; a child that
 * is no element becomes text as well.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Tell whoever cannot see the page. */
export function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}

/** Whether an answer is none of the model's labels. */
export function isNoLabel(answer) {
  return answer === "unsure" || answer === "none of these";
}
