"use strict";
{
  const { dots } = JSON.parse(document.getElementById("map-values").textContent);
  const svg = document.getElementById("map"), said = document.getElementById("map-said");
  const key = document.getElementById("map-key"), by = document.getElementById("map-by");
  const error = dot => !dot.taken_for ? "not tested" : dot.taken_for === dot.label ? "right" : "wrong";
  const views = { label: dot => dot.label || "no label", split: dot => dot.split || "none", error };
  if (dots.some(dot => dot.split)) by.add(new Option("split", "split"));
  if (dots.some(dot => dot.taken_for)) by.add(new Option("error", "error"));
  const fixed = {
    train: "var(--blue)", val: "var(--orange)", test: "var(--green)", none: "var(--muted)",
    unlabelled: "var(--muted)", "no label": "var(--muted)", "not tested": "var(--grid)",
    right: "var(--blue)", wrong: "var(--orange)",
  };
  let on = -1;

  const marks = dots.map((dot, i) => {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    mark.setAttribute("cx", dot.x);
    mark.setAttribute("cy", dot.y);
    mark.setAttribute("r", dots.length > 400 ? 7 : 11);
    mark.addEventListener("pointerenter", () => show(i));
    mark.addEventListener("click", () => show(i));
    svg.append(mark);
    return mark;
  });

  function paint() {
    const value = views[by.value];
    const names = Array.from(new Set(dots.map(value))).sort();
    // Hues in steps of the golden angle are far apart for neighbours in the list.
    const colour = new Map(names.map((name, i) => [name, by.value !== "label" || name === "no label"
      ? fixed[name] : `hsl(${(210 + i * 137.508) % 360} 60% ${i % 2 ? 42 : 58}%)`]));
    marks.forEach((mark, i) => { mark.style.fill = colour.get(value(dots[i])); });
    key.replaceChildren(...names.map(name => {
      const row = document.createElement("li"), spot = document.createElement("i");
      spot.style.background = colour.get(name);
      row.append(spot, `${name} (${dots.filter(dot => value(dot) === name).length})`);
      return row;
    }));
  }

  function show(i) {
    marks[on]?.classList.remove("on");
    on = i;
    marks[i].classList.add("on");
    svg.append(marks[i]);
    const dot = dots[i], text = document.createElement("p"), name = document.createElement("code");
    name.textContent = dot.clip;
    text.textContent = [views.label(dot), dot.split, dot.taken_for && `taken for ${dot.taken_for}`]
      .filter(Boolean).join(", ");
    said.replaceChildren();
    if (dot.strip) {
      const picture = new Image();
      picture.src = dot.strip;
      picture.alt = `frames of ${dot.clip}`;
      said.append(picture);
    }
    said.append(text, name);
  }

  svg.addEventListener("keydown", event => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    if (on < 0) return show(0);
    let best = -1, least = Infinity;
    dots.forEach((dot, i) => {
      const x = dot.x - dots[on].x, y = dot.y - dots[on].y;
      const along = x * way[0] + y * way[1], aside = Math.abs(x * way[1]) + Math.abs(y * way[0]);
      if (i !== on && along > 0 && aside <= 2 * along && along + 2 * aside < least) {
        best = i;
        least = along + 2 * aside;
      }
    });
    if (best >= 0) show(best);
  });
  by.addEventListener("change", paint);
  paint();
}
