// Answers on their way to the ledger: kept in the browser until the server says that they are on its disk.
// They are sent one after another and again after every failure; each has an id, so that none counts twice.

const FIRST_WAIT = 250, LONGEST_WAIT = 4000;  // ms between two attempts

/** JSON to the server and back; what it refuses for good is an error with `final`. */
export async function post(path, values) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values), priority: "high",
  });
  if (answer.ok) return answer.json();
  const error = new Error(answer.status === 400 ? (await answer.json()).error : `the server says ${answer.status}`);
  error.final = answer.status === 400;
  throw error;
}

export class Outbox {
  /** `told` hears of every change; `delivered(entry, answer)` of what came back. */
  constructor(prefix, told, delivered) {
    Object.assign(this, { prefix, told, delivered, entries: [], failure: null, running: null, number: 0 });
    this.store = storage();
    for (const key of Object.keys(this.store ?? {}).filter((each) => each.startsWith(prefix)).sort()) {
      try {
        this.entries.push({ key, ...JSON.parse(this.store.getItem(key)) });
      } catch {
        this.store.removeItem(key);
      }
    }
  }

  get waiting() {
    return this.entries.length;
  }

  put(path, values) {
    const time = String(Date.now()).padStart(15, "0");
    const key = `${this.prefix}${time}-${String(this.number++).padStart(6, "0")}-${crypto.randomUUID()}`;
    try {
      this.store?.setItem(key, JSON.stringify({ path, values }));
    } catch { /* no room: it is in memory all the same */ }
    this.entries.push({ key, path, values });
    this.told();
    return this.run();
  }

  /** Send what waits, in order; resolves when all of it has arrived. */
  run() {
    this.running ??= this.drain().finally(() => {
      this.running = null;
      this.told();
      if (this.entries.length) this.run();  // put in between the last look and now
    });
    return this.running;
  }

  async drain() {
    let wait = FIRST_WAIT;
    while (this.entries.length) {
      const entry = this.entries[0];
      try {
        this.delivered(entry, await post(entry.path, entry.values));
        this.failure = null;
      } catch (error) {
        this.failure = error.message;
        if (!error.final) {
          this.told();
          await new Promise((resolve) => { setTimeout(resolve, wait); });
          wait = Math.min(2 * wait, LONGEST_WAIT);
          continue;
        }
        this.delivered(entry, { result: "refused", error: error.message });
      }
      wait = FIRST_WAIT;
      this.entries.shift();
      this.store?.removeItem(entry.key);
      this.told();
    }
  }
}

function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;  // switched off
  }
}
