// Scans as the server sends them: values that are windowed here, and a strip of small neighbours.

const AT_ONCE = 2;  // requests for pictures
const SCRATCH = { image: null };  // one for all scans: an allocation of 16 MB takes longer than the loop over it

/** A scan with its values; `canvas` holds it as it is shown now. */
export class Scan {
  constructor(width, height, kind, window, buffer) {
    Object.assign(this, { width, height, kind, first: window, grey: kind !== "color" });
    this.values = kind === "grey16" ? new Uint16Array(buffer) : new Uint8ClampedArray(buffer);
    this.top = kind === "grey16" ? 65535 : 255;
    this.canvas = document.createElement("canvas");
    Object.assign(this.canvas, { width, height });
    this.painted = "";
    this.paint(...window, false);
  }

  /** Values up to `low` become black and from `high` on white; the other way round where it is inverted. */
  paint(low, high, inverted) {
    const wanted = `${low} ${high} ${inverted}`;
    if (this.painted === wanted) return;
    this.painted = wanted;
    const context = this.canvas.getContext("2d");
    if (!this.grey) {
      context.putImageData(new ImageData(this.values, this.width, this.height), 0, 0);
      return;
    }
    const image = scratch(context, this.width, this.height);
    const pixels = new Uint32Array(image.data.buffer);
    const colors = ramp(this.top, low, high, inverted);
    const values = this.values;
    for (let i = 0; i < values.length; i++) pixels[i] = colors[values[i]];
    context.putImageData(image, 0, 0);
  }
}

function scratch(context, width, height) {
  const known = SCRATCH.image;
  if (!known || known.width !== width || known.height !== height) SCRATCH.image = context.createImageData(width, height);
  return SCRATCH.image;
}

/** Value -> opaque grey, as a pixel of 32 bits. */
function ramp(top, low, high, inverted) {
  const colors = new Uint32Array(top + 1);
  for (let value = 0; value <= top; value++) {
    const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
    colors[value] = 0xff000000 | Math.round(255 * (inverted ? 1 - share : share)) * 0x010101;
  }
  return colors;
}

/** What `read` makes of a path's answer; asked for again while the server is away, or went away in the middle. */
async function fetched(path, read) {
  for (let wait = 250; ; wait = Math.min(2 * wait, 4000)) {
    try {
      const answer = await fetch(path);
      if (answer.ok) return await read(answer);
      throw new Error(answer.status === 422 ? (await answer.text()).trim() : `the server says ${answer.status}`);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;  // which is what a broken connection is
      await new Promise((resolve) => { setTimeout(resolve, wait); });
    }
  }
}

export async function loadScan(path) {
  const [headers, buffer] = await fetched(path, async (answer) => [answer.headers, await answer.arrayBuffer()]);
  const [width, height, kind, window] = ["Width", "Height", "Kind", "Window"].map((each) => headers.get(`Scan-${each}`));
  return new Scan(Number(width), Number(height), kind, window.split(" ").map(Number), buffer);
}

/** The scans that a reader is about to see, read before they are asked for; whoever is not wanted any more is let go. */
export class Shelf {
  /** `prepare` is told of every scan as soon as it is there. */
  constructor(prepare) {
    this.prepare = prepare;
    this.held = new Map();  // position -> { item, scan, failure, strip, ready, pictures }
    this.waiting = [];  // what is still to be read, the most urgent first
    this.running = 0;
  }

  /** Hold these items and no others, in the order in which they will be wanted. */
  keep(items) {
    const wanted = new Set(items.map((each) => each.position));
    for (const position of this.held.keys()) if (!wanted.has(position)) this.held.delete(position);
    this.waiting = this.waiting.filter((each) => wanted.has(each.position));
    for (const item of items) this.get(item);
  }

  get(item, again = false) {
    const position = item.position;
    if (!this.held.has(position) || again) {
      const entry = { scan: null, failure: null, strip: null };
      entry.ready = this.later(position, () => loadScan(`scan/${position}`)).then((scan) => { this.prepare(scan); entry.scan = scan; }, (error) => { entry.failure = error.message; });
      if (item.neighbors) entry.pictures = this.later(position, () => loadStrip(position)).then((image) => { entry.strip = image; }, () => null);
      this.held.set(position, entry);
    }
    return this.held.get(position);
  }

  /** Read what this item needs before all else. */
  hurry(item) {
    const mine = (each) => each.position === item.position;
    this.waiting = [...this.waiting.filter(mine), ...this.waiting.filter((each) => !mine(each))];
  }

  /** Few at a time: the scan that is wanted first shall not share the server with those that come later. */
  later(position, read) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ position, start: () => read().then(resolve, reject) });
      queueMicrotask(() => this.work());
    });
  }

  work() {
    while (this.running < AT_ONCE && this.waiting.length) {
      this.running += 1;
      this.waiting.shift().start().finally(() => { this.running -= 1; this.work(); });
    }
  }
}

async function loadStrip(position) {
  return createImageBitmap(await fetched(`scan/${position}/neighbors`, (answer) => answer.blob()));
}
