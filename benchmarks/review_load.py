"""The review page under load, and how fast it is for one reader.

    python benchmarks/review_load.py answers --answers 10000 --readers 4 --kills 12
    python benchmarks/review_load.py keystroke --keystrokes 60

`answers`: readers who send answers at once to a server that is killed (SIGKILL) and started again at random moments.
They send an answer until it is confirmed, now and then twice, and now and then they leave before the confirmation
comes. At the end the ledger must hold every answer once. `keystroke`: Chromium; a reader who looks at
each scan for a second, or until the next one is read ahead; from the key to the second frame after that is drawn.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.relabel.campaign import start_campaign
from ssl_robust.run import Run

CLASSES = ("benign", "malignant", "normal")
SCANS = ((64, "color"), (64, "grey8"), (512, "grey16"), (1024, "color"), (2048, "grey16"), (2048, "color"))
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
TIMED = """(key) => { window.took = []; addEventListener("keydown", (event) => {
  if (event.key !== key) return;
  const name = () => document.getElementById("named").textContent;
  const before = name();
  const look = () => name() !== before && document.getElementById("message").hidden
    ? requestAnimationFrame(() => requestAnimationFrame((now) => window.took.push(performance.now() - event.timeStamp)))
    : requestAnimationFrame(look);
  queueMicrotask(look);
}, true); }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["answers", "keystroke"])
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--keystrokes", type=int, default=60)
    parser.add_argument("--sides", type=int, nargs="*", default=[64, 512, 1024, 2048], help="px")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(answers(Path(folder), options) if options.what == "answers" else keystroke(Path(folder), options))


# --- many answers ---------------------------------------------------------------------------------------------------


def answers(folder: Path, options: argparse.Namespace) -> int:
    images = np.random.default_rng(options.seed).integers(0, 255, (options.answers, 8, 8), dtype=np.uint8)
    np.savez(folder / "scans.npz", train_images=images, train_labels=np.arange(options.answers) % len(CLASSES))
    run = make_campaign(folder, data_settings("npz", path=str(folder / "scans.npz"), classes=list(CLASSES)))
    server, chance = Server(run), random.Random(options.seed)
    readers = [Reader(server, f"reader {i}", random.Random(f"{options.seed} {i}")) for i in range(options.readers)]
    started = time.monotonic()
    server.start()
    for each in readers:
        each.start()
    for number in range(options.kills):
        due = options.answers * (number + chance.random()) / options.kills
        while sum(len(each.given) for each in readers) < due and any(each.is_alive() for each in readers):
            time.sleep(0.01)
        server.kill()
        server.start()
    for each in readers:
        each.join()
    server.kill()
    given = {name: told for each in readers for name, told in each.given.items()}
    told = verdict(run, given, options.answers)
    seconds = [each for reader in readers for each in reader.seconds]
    told |= {"readers": options.readers, "kills": server.kills, "failures": sum(each.failures for each in readers)}
    told |= {"minutes": (time.monotonic() - started) / 60, "ms_median": 1000 * statistics.median(seconds)}
    print(json.dumps(told))
    return int(bool(told["lost"] or told["doubled"] or told["changed"]))


def verdict(run: Path, given: dict[str, tuple[str, str]], n: int) -> dict[str, int]:
    """What the readers said beside what the ledger holds."""
    lines = [json.loads(line) for line in (run / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    held = {each["id"]: (each["sample_id"], each["answer"]) for each in lines}
    scans = Counter(each["sample_id"] for each in lines)
    changed = sum(held[name] != told for name, told in given.items() if name in held)
    lost = len(given.keys() - held.keys()) + n - len(scans)
    return {"scans": n, "lines": len(lines), "lost": lost, "doubled": len(lines) - len(scans), "changed": changed}


class Reader(threading.Thread):
    """Claims scans and answers them, whatever happens to the server."""

    def __init__(self, server: Server, name: str, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._server, self._reader, self._chance = server, name, chance
        self.given: dict[str, tuple[str, str]] = {}
        self.seconds: list[float] = []
        self.failures = 0

    def run(self) -> None:
        waiting: list[dict] = []
        while True:
            held = [each["position"] for each in waiting]
            waiting += self._until("claim", {"reader": self._reader, "held": held, "n": 9})["items"]
            if not waiting:
                return
            for _ in range(min(4, len(waiting))):
                item = waiting.pop(0)
                name, answer = str(uuid.uuid4()), self._chance.choice(CLASSES)
                self.given[name] = (item["name"], answer)
                body = {
                    "id": name,
                    "reader": self._reader,
                    "position": item["position"],
                    "answer": answer,
                    "seconds": 1,
                }
                for _ in range(2 if self._chance.random() < 0.05 else 1):
                    self._until("answer", {**body, "undoes": None})

    def _until(self, what: str, body: dict) -> dict:
        while True:
            started = time.monotonic()
            leaves = self._chance.random() < 0.02
            try:
                told = self._server.post(f"api/{what}", body, leave=leaves)
            except (OSError, HTTPException, ValueError):
                self.failures += not leaves
                time.sleep(0.05)
                continue
            if what == "answer":
                self.seconds.append(time.monotonic() - started)
            return told


class Server:
    """`ssl-robust review` in a process of its own."""

    def __init__(self, run: Path) -> None:
        self.run, self.kills = run, 0

    def start(self) -> None:
        command = [sys.executable, "-m", "ssl_robust.cli", "review", f"run={self.run}", "open=false"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while True:
            if self._process.poll() is not None:
                raise SystemExit("the server does not start")
            try:
                self.post("api/begin", {"reader": None})
                return
            except (OSError, HTTPException, ValueError):
                time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.kills += 1

    @property
    def url(self) -> str:
        address = json.loads((self.run / "address.json").read_text())
        return f"http://127.0.0.1:{address['port']}/{address['token']}/"

    def post(self, path: str, body: dict, *, leave: bool = False) -> dict:
        _, _, host, token, _ = self.url.split("/")
        connection = HTTPConnection(host, timeout=30)
        try:
            connection.request("POST", f"/{token}/{path}", json.dumps(body), {"Content-Type": "application/json"})
            if leave:
                raise ConnectionError("left before the confirmation came")
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError(answer.read().decode())
            return json.loads(answer.read())
        finally:
            connection.close()


# --- one reader -----------------------------------------------------------------------------------------------------


def keystroke(folder: Path, options: argparse.Namespace) -> int:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        for side, kind in (each for each in SCANS if each[0] in options.sides):
            place = folder / f"{side}-{kind}"
            server = Server(make_campaign(place, draw(place / "scans", side, kind, options.keystrokes + 2)))
            server.start()
            took = read(browser, server, options.keystrokes)
            server.kill()
            row = {"side": side, "kind": kind, "n": len(took), "ms_median": round(statistics.median(took), 1),
                   "ms_p95": round(float(np.percentile(took, 95)), 1), "ms_worst": round(max(took), 1)}  # fmt: skip
            print(json.dumps(row), flush=True)
            shutil.rmtree(place)
    return 0


def read(browser, server: Server, n: int) -> list[float]:
    """Milliseconds of each keystroke."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{server.url}?reader=Ada")
    page.locator("#size", has_text="px").wait_for(timeout=120_000)
    page.evaluate(TIMED, "1")
    for number in range(n):
        _wait(page, "Number(document.documentElement.dataset.ahead)", 1)
        page.wait_for_timeout(1000)
        page.keyboard.press("1")
        _wait(page, "took.length", number + 1)
    took = page.evaluate("took")
    page.close()
    return took


def _wait(page, what: str, least: int) -> None:
    for _ in range(6000):
        if page.evaluate(what) >= least:
            return
        page.wait_for_timeout(20)
    raise SystemExit(f"{what} stays below {least}")


def draw(folder: Path, side: int, kind: str, n: int) -> dict:
    """Pictures with the detail of a scan, none like another -> their `data` node."""
    rng = np.random.default_rng(0)
    shape = (side // 8, side // 8, 3) if kind == "color" else (side // 8, side // 8)
    top = 4095 if kind == "grey16" else 255
    base = np.kron(rng.random(shape), np.ones((8, 8, 1) if kind == "color" else (8, 8)))
    for number in range(n):
        (folder / CLASSES[number % 3]).mkdir(parents=True, exist_ok=True)
        noisy = (base + np.roll(base, 37 * number, axis=0) + rng.normal(0, 0.01, base.shape)).clip(0, 2) / 2 * top
        pixels = noisy.astype(np.uint16 if kind == "grey16" else np.uint8)
        Image.fromarray(pixels).save(folder / CLASSES[number % 3] / f"{number:04d}.png", compress_level=1)
    return data_settings("folder", path=str(folder))


def make_campaign(folder: Path, data: dict) -> Path:
    """A campaign that asks about every scan, each with five neighbours."""
    manifest = load_manifest(data)
    ids = manifest.table["sample_id"].tolist()
    queue = pd.DataFrame(
        {
            "sample_id": ids, "shown": "rank", "label": manifest.table["label"].tolist(), "suggested_label": CLASSES[0],
            "p_mislabeled": 0.5, "expected_gain": 0.5, "cluster": -1,
            "neighbors": [[ids[(row + step) % len(ids)] for step in range(1, 6)] for row in range(len(ids))],
        }
    )  # fmt: skip
    with Run(folder / "review", stage="relabel", config={"seed": 0}) as run:
        start_campaign(
            run.path, queue, audit=folder / "audit", data=data, classes=manifest.classes, control=ids, blind=False,
            readers=1, seed=0,
        )  # fmt: skip
    return run.path


if __name__ == "__main__":
    main()
