"use strict";
// What an audit found, made to be read: filters, cards a page at a time, keys. Names come from others' files, so that
// every text is put in as text, never as HTML.

const byId = (name) => document.getElementById(name);
const data = JSON.parse(byId("data").textContent);
data.pictures = [];  // megabytes, which stand behind this script: there is something to read before they are there
const PER_PAGE = 48;  // cards drawn at once, whatever the number of suspects
const LITTLE = 3;  // other patients or scans; a verdict of fewer is worth little

data.suspects.forEach((each) => { each.worth = each.p_mislabeled ?? each.score; each.isSuspect = true; });
const calibrated = data.suspects.some((each) => each.p_mislabeled !== null);
const state = { shown: data.suspects, page: 0, current: null, moved: false, enlarged: null, changed: [] };  // changed: whom to tell

// --- small things ---------------------------------------------------------------------------------------------------

/** An element; attributes that are null are left out, children that are null too. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children.filter((each) => each !== null));
  return element;
}

function picture(number, alt) {
  const source = number === null || number === undefined ? "" : data.pictures[number];
  return source ? make("img", { src: source, alt, decoding: "async" }) : null;
}

const count = (n) => n.toLocaleString("en");
const percent = (share) => `${Math.round(100 * share)} %`;
const named = (label) => label === null ? "no label" : label;
const worth = (each) => each.p_mislabeled === null ? `score ${each.score.toFixed(2)}` : `${percent(each.p_mislabeled)} likely wrong`;

// --- one suspect ----------------------------------------------------------------------------------------------------

function kind(label, suspect) {
  return label === suspect.label ? "given" : label === suspect.suggested_label ? "suggested" : "";
}

function neighbors(suspect) {
  return make("ul", { class: "neighbors", "aria-label": "nearest neighbours" }, ...suspect.neighbors.map(([id, label, number]) =>
    make("li", { title: `${id}: ${named(label)}` }, picture(number, `neighbour ${id}`),
      make("span", { class: `chip ${kind(label, suspect)}` }, make("bdi", {}, named(label))))));
}

function votes(suspect) {
  const given = (suspect.votes || []).filter((vote, _, all) => vote.label !== null || all.length <= 6);
  return given.length ? make("p", { class: "votes" }, ...given.map((vote) =>
    make("span", {}, `${vote.reader}: `, make("b", { class: kind(vote.label, suspect) }, vote.label ?? "–")))) : null;
}

/** How much was there to judge by, and what is said of the patient as a whole. */
function evidence(suspect) {
  const n = suspect.evidence;
  const little = n !== null && n < LITTLE;
  const said = n === null ? null : make("span", { class: little ? "mark doubt" : "" },
    `${little ? "little " : ""}evidence: ${n.toFixed(1)} other ${data.unit}`);
  const verdict = suspect.patient_verdict === null ? null : make("span", { class: "mark doubt" }, suspect.patient_verdict);
  return said || verdict ? make("p", { class: "says-little" }, said, said && verdict ? " " : null, verdict) : null;
}

function facts(suspect) {
  return make("div", {},
    make("p", { class: "rank" }, make("b", {}, `#${count(suspect.rank)}`), ` · ${worth(suspect)}`),
    make("p", { class: "label given" }, "given", make("b", { title: suspect.label }, make("bdi", {}, suspect.label))),
    make("p", { class: "label suggested" }, "suggested", make("b", { title: suspect.suggested_label }, make("bdi", {}, suspect.suggested_label))));
}

function verdict(suspect) {
  if (suspect.is_wrong === null) return null;
  return make("span", { class: `mark ${suspect.is_wrong ? "wrong" : ""}` }, suspect.is_wrong ? "✓ truly wrong" : "label was right");
}

function name(suspect) {
  return make("p", { class: "id" }, make("code", {}, suspect.id), verdict(suspect));
}

function card(suspect) {
  const image = picture(suspect.thumbnail, `scan ${suspect.id}`);
  const said = `suspect ${suspect.rank}: ${suspect.id}, given ${suspect.label}, suggested ${suspect.suggested_label}, ${worth(suspect)}`;
  const button = image && make("button", { type: "button", class: "enlarge top", tabindex: "-1", "aria-label": `enlarge ${suspect.id}` }, image);
  const element = make("li", { class: "card", tabindex: "-1", "aria-label": said, "data-rank": suspect.rank },
    make("div", { class: "top" }, button, facts(suspect)), evidence(suspect), votes(suspect), neighbors(suspect), name(suspect));
  element.suspect = suspect;
  return element;
}

// --- which ones, and in what order ----------------------------------------------------------------------------------

const ORDERS = {
  rank: () => 0,
  evidence: (a, b) => (b.evidence ?? -1) - (a.evidence ?? -1),
  label: (a, b) => a.label.localeCompare(b.label),
  suggested_label: (a, b) => a.suggested_label.localeCompare(b.suggested_label),
  id: (a, b) => a.id.localeCompare(b.id, undefined, { numeric: true }),
};

function choose() {
  const [given, suggested, order] = ["given", "suggested", "order"].map((each) => byId(each).value);
  const least = Number(byId("least").value) / 100;
  const text = byId("search").value.trim().toLowerCase();
  byId("least-says").textContent = calibrated ? percent(least) : least.toFixed(2);
  state.shown = data.suspects.filter((each) =>
    (given === "" || each.label === given) && (suggested === "" || each.suggested_label === suggested) &&
    each.worth >= least && (text === "" || each.id.toLowerCase().includes(text)));
  state.shown.sort((a, b) => ORDERS[order](a, b) || a.rank - b.rank);
  turnTo(0);
}

/** Draw one page of cards; the first of them is where Tab leads. */
function turnTo(page) {
  const [n, start] = [state.shown.length, page * PER_PAGE];
  state.page = page;
  byId("cards").replaceChildren(...state.shown.slice(start, start + PER_PAGE).map(card));
  byId("count").textContent = `${count(n)} of ${count(data.suspects.length)} suspects`;
  byId("where").textContent = n ? `${count(start + 1)} – ${count(Math.min(n, start + PER_PAGE))} of ${count(n)}` : "";
  byId("previous").disabled = page === 0;
  byId("next").disabled = start + PER_PAGE >= n;
  mark(state.shown[start] ?? null);
}

/** Make one suspect the current one, without moving the focus. */
function mark(suspect) {
  state.current = suspect;
  for (const each of byId("cards").children) {
    each.classList.toggle("current", each.suspect === suspect);
    each.tabIndex = each.suspect === suspect ? 0 : -1;
  }
  state.changed.forEach((tell) => tell());
}

/** Lead to a suspect's card, on whatever page it is. */
function goTo(suspect) {
  if (!state.shown.includes(suspect)) { byId("filters").reset(); choose(); }
  const place = state.shown.indexOf(suspect);
  const page = Math.floor(place / PER_PAGE);
  if (page !== state.page) turnTo(page);
  mark(suspect);
  const element = byId("cards").children[place % PER_PAGE];
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const next = state.shown[state.shown.indexOf(state.current) + (state.moved ? by : 0)];
  state.moved = true;
  if (!next) return;
  goTo(next);
  if (byId("large").open) enlarge(next);
}

// --- large ----------------------------------------------------------------------------------------------------------

function bar(...buttons) {
  return make("div", { class: "bar-of-buttons" }, ...buttons.map(([text, act]) => {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", act);
    return button;
  }));
}

/** Show something large; a button that has the focus keeps it when what is shown changes. */
function open(...children) {
  const dialog = byId("large");
  const at = [...dialog.querySelectorAll("button")].indexOf(document.activeElement);
  dialog.replaceChildren(...children);
  if (!dialog.open) dialog.showModal();
  else dialog.querySelectorAll("button")[at]?.focus();
}

function enlarge(suspect) {
  const close = ["close", () => byId("large").close()];
  state.enlarged = suspect;
  open(bar(["← previous", () => step(-1)], ["next →", () => step(1)], close),
    make("div", { class: "large" }, picture(suspect.thumbnail, `scan ${suspect.id}`),
      make("div", {}, facts(suspect), evidence(suspect), votes(suspect), neighbors(suspect), name(suspect))));
}

function enlargePicture(image) {
  state.enlarged = null;
  open(bar(["close", () => byId("large").close()]),
    make("div", { class: "large" }, make("img", { src: image.src, alt: image.alt }), make("p", {}, make("code", {}, image.alt))));
}

// --- keys -----------------------------------------------------------------------------------------------------------

const KEYS = { j: 1, k: -1 };
const ARROWS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

function pressed(event) {
  const [key, on] = [event.key, event.target];
  if (event.ctrlKey || event.metaKey || event.altKey || on.matches("input:not([type=range]), select, textarea")) return;
  const among = byId("large").open ? state.enlarged !== null : on.closest(".card[data-rank]") !== null;
  const by = KEYS[key] ?? (among ? ARROWS[key] : undefined);
  if (by && (state.enlarged || !byId("large").open)) step(by);
  else if (key === "/") byId("search").focus();
  else if (key === "?") byId("keys").showModal();
  else if (key === "Enter" && on.matches(".card[data-rank]")) enlarge(on.suspect);
  else if (key === "Enter" && on.matches("img[data-picture]")) enlargePicture(on);
  else return;
  event.preventDefault();
}

// --- the curve and the table of confusions --------------------------------------------------------------------------

/** The point of a line at n, the first number of its points. */
function between(points, n) {
  const after = Math.max(1, points.findIndex((point) => point[0] >= n));
  const [a, b] = [points[after - 1], points[after]];
  return a.map((value, i) => value + (b[i] - value) * (n - a[0]) / (b[0] - a[0]));
}

function startCurve() {
  const [slider, svg] = [byId("effort-at"), document.querySelector("#curve svg")];
  const show = (read) => {
    const [n, found, x, y] = between(data.effort, read);
    slider.value = n;
    byId("effort-says").textContent = `${count(n)} labels: about ${count(Math.round(found))} wrong ones found`;
    const [line, dot] = svg.querySelectorAll(".cursor");
    for (const [element, values] of [[line, { x1: x, x2: x }], [dot, { cx: x, cy: y }]]) {
      element.removeAttribute("visibility");
      for (const [attribute, value] of Object.entries(values)) element.setAttribute(attribute, value);
    }
  };
  const follow = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    const [[, , left], [last, , right]] = [data.effort[0], data.effort.at(-1)];
    show(Math.round(last * Math.max(0, Math.min(1, (at - left) / (right - left)))));
  };
  slider.addEventListener("input", () => show(Number(slider.value)));
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  show(Math.min(data.first, data.effort.at(-1)[0]));
}

function startHeat() {
  const table = byId("heat");
  const say = (cell) => {
    const { true: truly, given } = cell.dataset;
    byId("heat-says").textContent = `truly ${truly}, labelled ${given}: ${cell.title}`;
  };
  const filter = (cell) => {
    if (cell.classList.contains("right") || !byId("filters")) return;
    byId("filters").reset();
    byId("given").value = cell.dataset.given;
    byId("suggested").value = cell.dataset.true;
    choose();
    byId("suspects").scrollIntoView();
  };
  const move = (event) => {
    const [cell, row] = [event.target, event.target.parentNode];
    const to = { ArrowRight: cell.nextElementSibling, ArrowLeft: cell.previousElementSibling,
      ArrowDown: row.nextElementSibling?.children[cell.cellIndex], ArrowUp: row.previousElementSibling?.children[cell.cellIndex] }[event.key];
    if (event.key === "Enter") filter(cell);
    if (!to?.matches("td")) return;
    event.preventDefault();
    cell.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  };
  const on = (type, act) => table.addEventListener(type, (event) => { const cell = event.target.closest("td"); if (cell) act(cell); });
  on("pointerover", say);
  on("focusin", say);
  on("click", (cell) => { say(cell); filter(cell); });
  table.addEventListener("keydown", (event) => { if (event.target.matches("td")) move(event); });
}

// --- start ----------------------------------------------------------------------------------------------------------

function startSuspects() {
  for (const each of data.classes) for (const list of ["given", "suggested"]) byId(list).append(make("option", { value: each }, each));
  byId("least-name").textContent = calibrated ? "likely wrong by at least" : "score at least";
  byId("filters").addEventListener("input", choose);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(choose));
  byId("previous").addEventListener("click", () => { turnTo(state.page - 1); byId("suspects").scrollIntoView(); });
  byId("next").addEventListener("click", () => { turnTo(state.page + 1); byId("suspects").scrollIntoView(); });
  byId("keys-button").addEventListener("click", () => byId("keys").showModal());
  byId("cards").addEventListener("focusin", (event) => { state.moved = true; mark(event.target.closest(".card").suspect); });
  byId("cards").addEventListener("click", (event) => {
    const button = event.target.closest(".enlarge");
    if (button) { goTo(button.closest(".card").suspect); enlarge(state.current); }
  });
  byId("large").addEventListener("close", () => { if (state.enlarged) goTo(state.enlarged); });
  document.addEventListener("keydown", pressed);
  choose();
}

if (byId("curve")) startCurve();
if (byId("heat")) startHeat();
if (byId("filters")) startSuspects();
document.addEventListener("DOMContentLoaded", () => {
  data.pictures = JSON.parse(byId("pictures").textContent);
  for (const image of document.querySelectorAll("img[data-picture]")) {
    image.src = data.pictures[image.dataset.picture];
    image.addEventListener("click", () => enlargePicture(image));
  }
  if (byId("filters")) turnTo(state.page);
});
