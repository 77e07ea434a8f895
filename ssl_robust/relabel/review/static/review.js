// The work of a reader: one scan after the other, a key for each answer. Names come from others' files, so that every
// text is put in as text, never as HTML.

import { Outbox, post } from "./outbox.js";
import { loadScan, Shelf } from "./scans.js";
import { Viewer } from "./viewer.js";
import { make, byId, count, percent, pressed, keyHelp, showNeighbors } from "./parts.js";

const AHEAD = 8;  // scans that are read before they are asked for
const BEHIND = 4;  // and that stay for an undo
const MOST_UNDONE = 50;
const CLASS_KEYS = "123456789abcdefgjklmoqrtvy";  // the other letters do something else
const SEEN = 120;  // ms: reading ahead begins when the next scan is on the screen, and takes no time from it
const POLL = 8000;  // ms, while other readers have the last scans

const state = {
  reader: new URLSearchParams(location.search).get("reader")?.trim(), classes: [], blind: false,
  current: null, coming: [], behind: [], given: [], progress: null, claiming: null, ended: false, compared: null,
  shownAt: 0, seconds: 0,
};
const viewer = new Viewer(byId("scan"), sayShown);
const shelf = new Shelf((scan) => { viewer.prepare(scan); queueMicrotask(sayAhead); });
const outbox = new Outbox(`ssl-robust ${location.pathname} `, saySaved, delivered);

// --- what is asked --------------------------------------------------------------------------------------------------

const held = () => [state.current, ...state.coming].filter(Boolean).map((each) => each.position);

/** Ask for more scans where few are left. Answers on their way arrive first: the server must not hand them out again. */
async function claim() {
  if (state.claiming || state.coming.length >= AHEAD) return state.claiming;
  state.claiming = (async () => {
    await outbox.run();
    const asked = held();
    const told = await retried(() => post("api/claim", { reader: state.reader, held: asked, n: AHEAD + 1 }));
    const gone = new Set(told.gone);
    const known = new Set([...held(), ...asked]);
    state.coming = state.coming.filter((each) => !gone.has(each.position)).concat(told.items.filter((each) => !known.has(each.position)));
    progressed(told.progress);
    shelf.keep([state.current, ...state.coming, ...state.behind].filter(Boolean));
  })().finally(() => { state.claiming = null; });
  return state.claiming;
}

async function retried(ask) {
  for (let wait = 250; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const told = await ask();
      outbox.failure = null;
      saySaved();
      return told;
    } catch (error) {
      outbox.failure = error.message;
      saySaved();
      await new Promise((resolve) => { setTimeout(resolve, wait); });
    }
  }
}

/** The next scan, at once where it is on the shelf already. */
async function next() {
  if (!state.coming.length) {
    state.current = null;
    show(null);
    await claim();
    if (state.current) return;  // an undo meanwhile
    if (!state.coming.length) return end();
  }
  show(state.coming.shift());
  sayAhead();
  setTimeout(claim, SEEN);
}

function show(item) {
  state.current = item;
  state.compared = null;
  byId("work").hidden = false;
  byId("end").hidden = true;
  state.ended = false;
  if (item === null) {
    viewer.show(null);
    return message("looking for the next scan …");
  }
  const entry = shelf.get(item, Boolean(shelf.held.get(item.position)?.failure));
  shelf.hurry(item);
  describe(item);
  place(item, entry);
  if (!entry.scan) entry.ready.then(() => { if (state.current === item && !state.compared) place(item, entry); });
  return undefined;
}

function place(item, entry) {
  viewer.show(entry.scan);
  message(entry.failure ? `${entry.failure}; answer “unsure”, or skip it` : entry.scan ? "" : "reading the scan …");
  [state.seconds, state.shownAt] = [0, performance.now()];
}

/** Seconds for which the scan was in view: a page in the background is read by nobody. */
function tick() {
  const now = performance.now();
  if (state.shownAt) state.seconds += (now - state.shownAt) / 1000;
  state.shownAt = document.hidden ? 0 : now;
  return state.seconds;
}

// --- what is answered -----------------------------------------------------------------------------------------------

const readable = () => state.current && shelf.held.get(state.current.position)?.scan;

function answer(name) {
  const item = state.current;
  if (!item || (name !== null && !readable())) return;
  const id = crypto.randomUUID();
  outbox.put("api/answer", { id, reader: state.reader, position: item.position, answer: name, seconds: tick(), undoes: null });
  state.given.push({ id, item, name });
  if (state.given.length > MOST_UNDONE) state.given.shift();
  leave(item);
  sayLast(name === null ? "unsure" : name);
  offer(name === null ? 0 : item.copies);
  next();
}

/** The last answer for the near-duplicates of that scan, too; only ever as the reader says so. */
function propagate() {
  const last = state.given.at(-1);
  if (byId("offer").hidden || !last) return;
  for (let copy = 0; copy < last.item.copies; copy++) {
    const id = `${last.id}/${copy}`;  // so that an undo, even after a reload, takes it back with the answer
    outbox.put("api/answer", { id, reader: state.reader, position: last.item.position, answer: last.name, seconds: 0, undoes: null, copy });
  }
  sayLast(`${last.name}, also for ${count(last.item.copies)} near-duplicate${last.item.copies === 1 ? "" : "s"}`);
  offer(0);
}

function offer(n) {
  byId("offer").hidden = !n;
  byId("copies").textContent = n === 1 ? "the same for its near-duplicate" : `the same for its ${count(n)} near-duplicates`;
}

function skip() {
  const item = state.current;
  if (!item) return;
  offer(0);
  outbox.put("api/skip", { reader: state.reader, position: item.position });
  leave(item);
  sayLast("skipped");
  next();
}

function leave(item) {
  state.behind.push(item);
  if (state.behind.length > BEHIND) state.behind.shift();
}

function undo() {
  const last = state.given.pop();
  if (!last) return;
  outbox.put("api/answer", { id: crypto.randomUUID(), reader: state.reader, position: last.item.position, answer: null, seconds: 0, undoes: last.id });
  offer(0);
  if (state.current) state.coming.unshift(state.current);
  state.coming = state.coming.filter((each) => each.position !== last.item.position);
  sayLast("taken back; say it again");
  show(last.item);
}

function delivered(entry, told) {
  if (told.progress) progressed(told.progress);
  if (told.result === "answered") sayLast("answered in another window before; that answer stands");
  if (told.result === "refused") sayLast(`an answer was refused: ${told.error}`);
}

// --- what is said ---------------------------------------------------------------------------------------------------

function describe(item) {
  const has = (name) => name !== null && name !== undefined;
  const labels = has(item.label) || has(item.suggested);
  byId("labels").hidden = !labels;
  byId("given").textContent = item.label ?? "none";
  byId("suggestion").hidden = !has(item.suggested) || item.suggested === item.label;
  byId("suggested").textContent = item.suggested ?? "";
  byId("likely").textContent = has(item.p) ? `${percent(item.p)} likely wrong` : "";
  byId("named").textContent = item.name ?? "";
  byId("readers").hidden = !item.readers;
  byId("readers").querySelector("ol").replaceChildren(...(item.readers ?? []).map((each) => make("li", {}, make("bdi", {}, each ?? "unsure"))));
  for (const button of byId("classes").children) {
    button.classList.toggle("given", has(item.label) && button.dataset.name === item.label);
    button.classList.toggle("suggested", has(item.suggested) && item.suggested !== item.label && button.dataset.name === item.suggested);
  }
  byId("undo").disabled = !state.given.length;
  const entry = shelf.get(item);
  const drawn = () => { if (state.current === item) showNeighbors(byId("near"), item, entry.strip, compare); };
  drawn();
  entry.pictures?.then(drawn);
  byId("scan").setAttribute("aria-label", item.name ? `scan ${item.name}` : `scan at place ${item.position}`);
}

/** Look at a neighbour in full; the same again leads back. */
async function compare(number) {
  const item = state.current;
  if (!item || number >= item.neighbors) return;
  state.compared = state.compared === number ? null : number;
  for (const [i, each] of [...byId("near").querySelectorAll("button")].entries()) pressed(each, i === state.compared);
  if (state.compared === null) return viewer.show(shelf.get(item).scan), message("");
  try {
    const scan = await loadScan(`scan/${item.position}/neighbor/${number}`);
    if (state.current === item && state.compared === number) {
      viewer.show(scan);
      message(`${number < item.copies ? "a near-duplicate" : "a similar scan"}${item.labels ? `, labelled ${item.labels[number] ?? "nothing"}` : ""} – Esc leads back`);
    }
  } catch (error) {
    message(error.message);
  }
  return undefined;
}

function message(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

function sayShown(shown) {
  const { scan } = shown;
  byId("size").textContent = scan ? [
    `${scan.width} × ${scan.height} px`, `× ${(shown.scale() / (window.devicePixelRatio || 1)).toFixed(2)}`,
    scan.grey ? `window ${Math.round(shown.low)} – ${Math.round(shown.high)}` : "",
  ].filter(Boolean).join("   ") : "";
  pressed(byId("contrast"), shown.contrast);
  pressed(byId("invert"), shown.inverted);
  pressed(byId("pixels"), !shown.smooth);
  byId("contrast").hidden = byId("invert").hidden = Boolean(scan) && !scan.grey;
}

/** How many of the next scans are here already, for whoever measures. */
function sayAhead() {
  const missing = state.coming.findIndex((each) => !shelf.held.get(each.position)?.scan);
  document.documentElement.dataset.ahead = missing < 0 ? state.coming.length : missing;
}

function sayLast(text) {
  byId("last").textContent = text;
}

function saySaved() {
  const n = outbox.waiting;
  const lost = outbox.failure !== null;
  byId("saved").classList.toggle("lost", lost);
  const kept = n ? `; ${count(n)} ${n === 1 ? "answer is" : "answers are"} kept here` : "";
  byId("saved").textContent = lost ? `no answer from the server (${outbox.failure})${kept}. Start ssl-robust review again; this page goes on by itself.` : n > 1 ? `saving ${count(n)}` : "";
}

function progressed(told) {
  state.progress = told;
  Object.assign(byId("bar"), { max: Math.max(1, told.shown), value: told.done });
  byId("far").textContent = `${count(told.done)} of ${count(told.shown)} read`;
  document.title = `${told.done}/${told.shown} · Review`;
  byId("finds").hidden = told.found === undefined;
  byId("finds").textContent = told.found === undefined ? "" : `${count(told.found)} wrong found` +
    (told.expected === null ? "" : `, about ${count(Math.round(told.expected))} to come`);
  if (state.ended) sayEnd();
}

// --- the end --------------------------------------------------------------------------------------------------------

async function end() {
  state.ended = true;
  viewer.show(null);
  byId("work").hidden = true;
  byId("end").hidden = false;
  sayEnd();
  await outbox.run();
  setTimeout(async () => {
    if (!state.ended || state.claiming) return;
    await claim();
    if (state.ended) state.coming.length ? next() : end();
  }, POLL);
}

function sayEnd() {
  const told = state.progress;
  const all = told.done === told.shown;
  byId("end").querySelector("h1").textContent = all ? "This round is read." : "Nothing is left for you.";
  byId("sum").textContent = `${count(told.done)} of ${count(told.shown)} read, ${count(told.mine)} by you` +
    (told.found === undefined ? "" : `; ${count(told.found)} labels were said to be wrong`) +
    (told.elsewhere ? `; ${count(told.elsewhere)} are before other readers` : "") + ".";
  byId("next").textContent = all ? "You can close this page and end the command with Ctrl-C: “ssl-robust relabel resume=true out=…” chooses the next scans by your answers, “ssl-robust relabel apply” takes the labels as they are." : "This page looks again by itself.";
  byId("skipped").hidden = !told.skipped;
  byId("skipped").textContent = `look at the ${count(told.skipped)} skipped`;
  byId("back").disabled = !state.given.length;
}

async function takeUpSkipped() {
  outbox.put("api/skip", { reader: state.reader, position: null });
  state.ended = false;
  await next();
}

// --- keys and buttons -----------------------------------------------------------------------------------------------

function act(key) {
  const number = CLASS_KEYS.indexOf(key);
  if (number >= 0 && number < state.classes.length) answer(state.classes[number]);
  else if (key === "u") answer(null);
  else if (key === "s") skip();
  else if (key === "z") undo();
  else if (key === "p") propagate();
  else if (key === "n") compare(state.compared === null ? 0 : state.compared + 1 < state.current?.neighbors ? state.compared + 1 : state.compared);
  else if (key === "?") byId("keys").showModal();
  else return false;
  return true;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input") || byId("keys").open || !state.reader) return;
  if (event.key === "Escape" && state.compared !== null) compare(state.compared);
  else if (event.key.length === 1 && event.repeat && !"+-=".includes(event.key)) return;  // a key that is held answers once
  else if (state.ended ? event.key === "z" && (undo(), true) : act(event.key.toLowerCase()) || viewer.key(event)) event.preventDefault();
});

function begin(about) {
  Object.assign(state, { classes: about.classes, blind: about.blind });
  state.given = about.last;
  byId("classes").replaceChildren(...about.classes.map((name, i) => {
    const button = make("button", { type: "button", "data-name": name }, CLASS_KEYS[i] ? make("kbd", {}, CLASS_KEYS[i]) : null, make("bdi", {}, name));
    button.addEventListener("click", () => answer(name));
    return button;
  }));
  for (const button of document.querySelectorAll("[data-key]")) {
    button.addEventListener("click", () => act(button.dataset.key) || viewer.key({ key: button.dataset.key }));
  }
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("skipped").addEventListener("click", takeUpSkipped);
  byId("back").addEventListener("click", undo);
  byId("reader").textContent = state.reader;
  keyHelp(byId("key-list"), about.classes.length, CLASS_KEYS);
  progressed(about.progress);
  document.addEventListener("visibilitychange", tick);
  addEventListener("beforeunload", (event) => { if (outbox.waiting) event.preventDefault(); });
}

async function start() {
  if (!state.reader) {
    byId("welcome").hidden = false;
    byId("name").focus();
    byId("who").addEventListener("submit", (event) => {
      event.preventDefault();
      location.search = new URLSearchParams({ reader: byId("name").value.trim() });
    });
    return;
  }
  byId("work").hidden = false;
  await outbox.run();  // what a closed page left behind
  begin(await retried(() => post("api/begin", { reader: state.reader })));
  await next();
}

start();
