// The map of the scans: a canvas that is moved and zoomed by mouse, touch and keys. Follows audit.js.

// Safe for colour-blind eyes (after Okabe and Ito), 3:1 against the card; a class differs from the next in shape, too.
const COLORS = {
  light: ["#0072b2", "#c2571a", "#00845f", "#b0568f", "#2f86bd", "#a87200", "#6b7178"],
  dark: ["#4aa3df", "#f08a4b", "#35c79c", "#e08fc0", "#9ad8f7", "#e9b93a", "#aab2ba"],
};
const SHAPES = [..."●■▲◆"];  // with seven colors: 28 classes before two look alike
const GRID = 9999;  // positions are whole numbers up to this
const REACH = 14;  // pixels around a scan that count as on it
const DRAGGED = 6;  // pixels that a pointer moves before it is no click any more

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const numberOf = new Map(data.classes.map((each, i) => [each, i]));
const scans = [...data.others, ...data.suspects.filter((each) => each.place)];
const view = { x: 0, y: 0, zoom: 1, at: null, fingers: new Map() };

function look(label) {
  const i = numberOf.get(label) ?? 0;
  const colors = dark.matches ? COLORS.dark : COLORS.light;
  return { color: colors[i % colors.length], shape: i % SHAPES.length };
}

/** Where a scan is on the canvas, in CSS pixels. */
function onCanvas(scan, { clientWidth: width, clientHeight: height }) {
  const side = Math.min(width, height) - 24;
  const [x, y] = scan.place.map((each) => (each / GRID - 0.5) * side * view.zoom);
  return [width / 2 + x + view.x, height / 2 - y + view.y];
}

function trace(pen, shape, x, y, r) {
  pen.beginPath();
  if (shape === 0) pen.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === 1) pen.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (shape === 2) { pen.moveTo(x, y - r * 1.2); pen.lineTo(x + r * 1.1, y + r * 0.8); pen.lineTo(x - r * 1.1, y + r * 0.8); }
  else { pen.moveTo(x, y - r * 1.3); pen.lineTo(x + r * 1.3, y); pen.lineTo(x, y + r * 1.3); pen.lineTo(x - r * 1.3, y); }
  pen.closePath();
}

function draw(canvas) {
  const [pen, scale] = [canvas.getContext("2d"), window.devicePixelRatio || 1];
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * scale;
  canvas.height = height * scale;
  pen.scale(scale, scale);
  const ink = getComputedStyle(canvas).color;
  const listed = new Set(state.shown);
  const size = Math.min(6, (listed.size > 500 ? 3 : 6) * Math.sqrt(view.zoom));
  for (const scan of scans) {
    const [x, y] = onCanvas(scan, canvas);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
    const ringed = listed.has(scan);
    const { color, shape } = look(scan.label);
    trace(pen, shape, x, y, ringed ? size - 2 : 2.4);
    pen.globalAlpha = ringed ? 1 : 0.5;
    pen.fillStyle = color;
    pen.fill();
    if (!ringed) continue;
    pen.strokeStyle = ink;
    pen.lineWidth = size / 6;
    trace(pen, 0, x, y, size);
    pen.stroke();
  }
  pen.globalAlpha = 1;
  for (const scan of [state.current, view.at]) if (scan?.place) cross(pen, ...onCanvas(scan, canvas), ink);
}

function cross(pen, x, y, ink) {
  pen.strokeStyle = ink;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(x, y, 10, 0, 2 * Math.PI);
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { pen.moveTo(x + 10 * dx, y + 10 * dy); pen.lineTo(x + 16 * dx, y + 16 * dy); }
  pen.stroke();
}

/** The scan under the pointer, a suspect before others at the same place. */
function nearest(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const distance = (scan) => {
    const [x, y] = onCanvas(scan, canvas);
    return Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top) - (scan.isSuspect ? 3 : 0);
  };
  let [best, least] = [null, REACH];
  for (const scan of scans) {
    const d = distance(scan);
    if (d < least) [best, least] = [scan, d];
  }
  return best;
}

function say(scan) {
  byId("map-says").replaceChildren(picture(scan.thumbnail, `scan ${scan.id}`) ?? "",
    make("p", { class: "label given" }, "given", make("b", {}, make("bdi", {}, named(scan.label)))),
    make("p", { class: "label suggested" }, "suggested", make("b", {}, make("bdi", {}, named(scan.suggested_label)))),
    scan.p_mislabeled === null ? "" : make("p", {}, worth(scan)),
    make("p", {}, scan.isSuspect ? `#${count(scan.rank)} · ` : "", make("code", {}, scan.id)));
}

/** Zoom by a factor around a point of the canvas; 0 shows all. */
function zoom(canvas, factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const before = view.zoom;
  view.zoom = factor ? Math.min(60, Math.max(1, before * factor)) : 1;
  const [dx, dy] = [x - canvas.clientWidth / 2, y - canvas.clientHeight / 2];
  const by = view.zoom / before;
  move(canvas, dx + (view.x - dx) * by, dy + (view.y - dy) * by);
}

/** Move the map, never so far that nothing of it is seen; while all of it is, a finger scrolls the page. */
function move(canvas, x, y) {
  const limit = (view.zoom - 1) * Math.max(canvas.clientWidth, canvas.clientHeight) / 2;
  [view.x, view.y] = [x, y].map((each) => Math.max(-limit, Math.min(limit, each)));
  canvas.style.touchAction = view.zoom > 1 ? "none" : "pan-y";
  redraw();
}

function pointerMoved(canvas, event) {
  const before = view.fingers.get(event.pointerId);
  if (!before) return pointAt(canvas, event);
  const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
  view.dragged += Math.abs(dx) + Math.abs(dy);
  const other = [...view.fingers].find(([id]) => id !== event.pointerId)?.[1];
  view.fingers.set(event.pointerId, event);
  if (!other) return move(canvas, view.x + dx, view.y + dy);
  const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
  const box = canvas.getBoundingClientRect();
  zoom(canvas, apart(event) / Math.max(1, apart(before)), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
}

function pointAt(canvas, event) {
  const scan = nearest(canvas, event);
  if (scan === view.at) return;
  view.at = scan;
  canvas.style.cursor = scan ? "pointer" : "grab";
  if (scan) say(scan);
  redraw();
}

function clicked(canvas, event) {
  if (view.dragged >= DRAGGED) return;
  view.at = null;
  pointAt(canvas, event);
  // A finger hides what it points at: the first tap shows the scan, a second one leads to its card.
  if (view.at?.isSuspect && (view.by === "mouse" || view.tapped === view.at)) goTo(view.at);
  view.tapped = view.at;
}

function startMap() {
  const canvas = byId("map");
  const arrows = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  const zooms = { "+": 1.4, "=": 1.4, "-": 1 / 1.4, 0: 0 };
  canvas.addEventListener("pointerdown", (event) => {
    if (view.fingers.size === 0) view.dragged = 0;
    view.by = event.pointerType;
    view.fingers.set(event.pointerId, event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => pointerMoved(canvas, event));
  for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, (event) => view.fingers.delete(event.pointerId));
  canvas.addEventListener("click", (event) => clicked(canvas, event));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return;  // else the page could not be scrolled past the map
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(canvas, Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (arrows[event.key]) move(canvas, view.x + arrows[event.key][0], view.y + arrows[event.key][1]);
    else if (event.key in zooms) zoom(canvas, zooms[event.key]);
    else return;
    event.preventDefault();
  });
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => zoom(canvas, Number(button.dataset.zoom)));
  dark.addEventListener("change", () => { legend(); redraw(); });
  new ResizeObserver(redraw).observe(canvas);
  state.changed.push(redraw);
  legend();
  move(canvas, 0, 0);
}

function legend() {
  byId("legend").replaceChildren(...data.classes.map((each) => {
    const { color, shape } = look(each);
    const sign = make("span", { "aria-hidden": "true" }, SHAPES[shape]);
    sign.style.color = color;
    return make("li", {}, sign, " ", make("bdi", {}, each));
  }));
}

/** Once a frame is enough, however many things have changed. */
function redraw() {
  view.frame ??= requestAnimationFrame(() => { view.frame = null; draw(byId("map")); });
}

if (byId("map")) startMap();
