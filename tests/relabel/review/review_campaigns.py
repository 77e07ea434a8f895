"""Campaigns on disk and a server of them, for the tests of the review page."""

import json
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pandas as pd
import uvicorn
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.relabel.campaign import start_campaign
from ssl_robust.relabel.review.address import take_address
from ssl_robust.relabel.review.app import make_app
from ssl_robust.relabel.review.desk import Desk
from ssl_robust.relabel.review.material import copies_of, labels_of, scans_of
from ssl_robust.relabel.review.pictures import Pictures
from ssl_robust.run import Run

CLASSES = ("benign", "malignant", "normal")


def queue_of(manifest, classes, *, n=None, shown=None, seed=0):
    """The first scans of a manifest in the order of asking, with suggestions and neighbours drawn at random."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(manifest))[:n]
    ids = manifest.table["sample_id"].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "sample_id": ids[rows], "shown": shown or ["rank"] * len(rows),
            "label": manifest.table["label"].to_numpy(dtype=object, na_value=None)[rows],
            "suggested_label": np.array(classes, dtype=object)[rng.integers(len(classes), size=len(rows))],
            "p_mislabeled": np.sort(rng.beta(1, 2, len(rows)))[::-1].round(4), "expected_gain": 0.5, "cluster": -1,
            "neighbors": [ids[rng.permutation(len(ids))[:5]].tolist() for _ in rows],
        }
    )  # fmt: skip


def make_campaign(place, data, *, n=None, shown=None, blind=False, readers=1):
    """The run directory of a campaign about the scans of a `data` node."""
    manifest = load_manifest(data)
    queue = queue_of(manifest, manifest.classes, n=n, shown=shown)
    with Run(place, stage="relabel", config={"seed": 0}):
        return start_campaign(
            place, queue, audit=place.parent / "audit", data=data, classes=manifest.classes,
            control=manifest.table["sample_id"].tolist(), blind=blind, readers=readers, seed=0,
        )  # fmt: skip


def draw_folder(folder, *, n=30, classes=CLASSES, side=48):
    """A folder of pictures, one sub-folder for each class -> its `data` node."""
    rng = np.random.default_rng(0)
    for i in range(n):
        name = classes[i % len(classes)]
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(60, 190, (side, side), dtype=np.uint8)
        pixels[: side // (2 + i % len(classes))] //= 2
        Image.fromarray(pixels).save(folder / name / f"{i:04d}.png")
    return data_settings("folder", path=str(folder))


class Local:
    """The page of a campaign from a thread of this process: a server that starts at once."""

    def __init__(self, campaign):
        manifest = scans_of(campaign)
        labels, copies = labels_of(campaign, manifest), copies_of(campaign, manifest)
        desk = Desk(campaign, blind=campaign.blind, loan=600, labels=labels, copies=copies)
        address, self._listening = take_address(campaign.place, 0)
        self.url = address.url()
        app = make_app(desk, Pictures(manifest), address.token)
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=[self._listening]), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(20)
        self._listening.close()


class Server:
    """The command line in a process of its own, as a user starts it, to be killed at any moment."""

    def __init__(self, run, *options):
        self.run, self._options = Path(run), options

    def start(self):
        command = [sys.executable, "-m", "ssl_robust.cli", "review", f"run={self.run}", "open=false", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(1200):
            if self._process.poll() is not None:
                raise AssertionError(self._process.stderr.read())
            if (self.run / "address.json").is_file() and self.get("/")[0] == 200:
                return self
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    @property
    def url(self):
        address = json.loads((self.run / "address.json").read_text())
        return f"http://127.0.0.1:{address['port']}/{address['token']}/"

    def get(self, path, method="GET", body=None, headers=None):
        address = json.loads((self.run / "address.json").read_text())
        connection = HTTPConnection("127.0.0.1", address["port"], timeout=20)
        try:
            connection.request(method, f"/{address['token']}{path}", body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return None, b""
        finally:
            connection.close()

    def kill(self):
        """As a power cut would."""
        self._process.kill()
        self._process.wait()
        self._process.stderr.close()

    def stop(self):
        """As Ctrl-C does; returns the exit code."""
        self._process.send_signal(2)
        code = self._process.wait(20)
        self._process.stderr.close()
        return code

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self._process.poll() is None:
            self.kill()


def lines(campaign):
    """What the ledger holds, line by line."""
    path = campaign.place / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
