// One large scan: zoom, pan, window and level, by mouse, fingers or keys.

const FARTHEST = 60;  // times the size that fits
const STEP = 1.25;

export class Viewer {
  constructor(canvas, says) {
    this.canvas = canvas;
    this.says = says;  // told what is shown whenever that changes
    this.scan = null;
    this.contrast = false;  // whether dragging changes the contrast
    this.inverted = false;
    this.smooth = true;
    this.fingers = new Map();
    this.asked = 0;
    this.home();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  show(scan) {
    this.scan = scan;
    this.home();
    this.draw();
  }

  /** The whole scan as its file wants it seen. */
  home() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    [this.low, this.high] = this.scan ? this.scan.first : [0, 255];
  }

  reset() {
    this.home();
    this.inverted = false;
    this.later();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const fine = window.devicePixelRatio || 1;
    const [width, height] = [Math.max(1, Math.round(clientWidth * fine)), Math.max(1, Math.round(clientHeight * fine))];
    if (this.canvas.width === width && this.canvas.height === height) return;
    Object.assign(this.canvas, { width, height });
    this.draw();
  }

  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.draw(); });
  }

  /** Pixels of the canvas for one of the scan. */
  scale() {
    return Math.min(this.canvas.width / this.scan.width, this.canvas.height / this.scan.height) * this.zoom;
  }

  /** Shrink a large scan to the stage before it is asked for: doing so takes longer than all else of showing it. */
  prepare(scan) {
    const scale = Math.min(this.canvas.width / scan.width, this.canvas.height / scan.height);
    if (scale >= 1) return;
    const [width, height] = [scan.width * scale, scan.height * scale];
    const small = Object.assign(document.createElement("canvas"), { width: Math.round(width), height: Math.round(height) });
    const context = small.getContext("2d", { alpha: false });
    context.imageSmoothingQuality = "medium";
    context.drawImage(scan.canvas, 0, 0, small.width, small.height);
    scan.small = { image: small, scale, painted: scan.painted };
  }

  draw() {
    const { canvas, scan } = this;
    const context = canvas.getContext("2d", { alpha: false });
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!scan) return this.says(this);
    scan.paint(this.low, this.high, this.inverted);
    const scale = this.scale();
    const [width, height] = [scan.width * scale, scan.height * scale];
    // Nothing of the scan leaves the stage while there is room for it.
    const [roomX, roomY] = [Math.max(0, width - canvas.width) / 2, Math.max(0, height - canvas.height) / 2];
    this.x = Math.min(roomX, Math.max(-roomX, this.x));
    this.y = Math.min(roomY, Math.max(-roomY, this.y));
    context.imageSmoothingEnabled = this.smooth;
    context.imageSmoothingQuality = scale < 1 ? "medium" : "low";
    const small = scan.small?.scale === scale && scan.small.painted === scan.painted && this.smooth;
    context.drawImage(small ? scan.small.image : scan.canvas, (canvas.width - width) / 2 + this.x, (canvas.height - height) / 2 + this.y, width, height);
    return this.says(this);
  }

  /** Enlarge about a point of the canvas, which stays where it is. */
  enlarge(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const zoom = Math.min(FARTHEST, Math.max(1, this.zoom * factor));
    const [fromX, fromY] = [x - this.canvas.width / 2, y - this.canvas.height / 2];
    this.x = fromX - (fromX - this.x) * (zoom / this.zoom);
    this.y = fromY - (fromY - this.y) * (zoom / this.zoom);
    this.zoom = zoom;
    this.later();
  }

  move(x, y) {
    this.x += x;
    this.y += y;
    this.later();
  }

  /** Width and level of the window, as at a workstation: sideways for more or less contrast, up for brighter. */
  window(sideways, down) {
    if (!this.scan?.grey) return;
    const level = (this.low + this.high) / 2 + down * (this.high - this.low) / 300;
    const width = Math.min(4 * this.scan.top, Math.max(this.scan.top / 1000, (this.high - this.low) * Math.exp(sideways / 250)));
    const held = Math.min(this.scan.top, Math.max(0, level));
    [this.low, this.high] = [held - width / 2, held + width / 2];
    this.later();
  }

  listen() {
    const { canvas, fingers } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const fine = canvas.width / box.width;
      return [(event.clientX - box.left) * fine, (event.clientY - box.top) * fine];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, at(event));
      this.windowing = this.contrast || event.shiftKey || event.button === 2;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = [...fingers.values()];
      const [x, y] = fingers.get(event.pointerId);
      fingers.set(event.pointerId, at(event));
      const [dx, dy] = [fingers.get(event.pointerId)[0] - x, fingers.get(event.pointerId)[1] - y];
      if (fingers.size === 2) this.pinch(before, [...fingers.values()]);
      else if (this.windowing) this.window(dx, dy);
      else this.move(dx, dy);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.enlarge(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...at(event));
    }, { passive: false });
  }

  pinch(before, after) {
    const apart = ([a, b]) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    this.move(middle(after)[0] - middle(before)[0], middle(after)[1] - middle(before)[1]);
    this.enlarge(apart(after) / apart(before), ...middle(after));
  }

  /** What a key does to the picture; false where it does nothing. */
  key(event) {
    const far = 40 * (window.devicePixelRatio || 1);
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in arrows) {
      const [x, y] = arrows[event.key];
      if (event.shiftKey) this.window(x * 20, y * 10);
      else this.move(-x * far, -y * far);
      return true;
    }
    const acts = {
      "+": () => this.enlarge(STEP), "=": () => this.enlarge(STEP), "-": () => this.enlarge(1 / STEP), 0: () => this.reset(),
      w: () => { this.contrast = !this.contrast; this.says(this); },
      x: () => { this.inverted = !this.inverted; this.later(); },
      i: () => { this.smooth = !this.smooth; this.later(); },
    };
    if (!(event.key in acts)) return false;
    acts[event.key]();
    return true;
  }
}
