"""The real training on some of the scans, step by step, until enough was seen."""

from __future__ import annotations

import contextlib
import copy
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric
from lightning.fabric.loggers.logger import Logger

from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.selection import Snapshots
from ssl_robust.pretrain.stage import build_loop

SECONDS = 20.0  # of counted steps
_STEPS = 20  # of them, at most
_WARM_UP = {"cpu": 1}  # steps that are not counted
_WARM_UP_OF_A_GPU = 3  # which compiles and chooses in its first ones
# What the trial leaves out: looks at the encoder (one of them is timed apart), and encoders on disk.
_MONITOR = {"every": sys.maxsize, "select": "last", "keep": "none", "reference": 0, "queries": 8,
            "lidar": {"scans": 2, "views": 2}}  # fmt: skip


@dataclass(frozen=True)
class Steps:
    """What a trial has shown.

    Attributes:
        seconds: of each step.
        save_seconds: to write the state of the training.
        look_seconds: of a look of the monitor at next to no scans: its arithmetic.
        checkpoint_bytes: of the state of the training.
    """

    seconds: list[float]
    save_seconds: float
    look_seconds: float
    checkpoint_bytes: int


def try_steps(settings: Mapping[str, Any], scans: ScanSet, encoder: Encoder, fabric: Fabric) -> Steps:
    """Train some steps, all of the same batch, in a folder that is deleted afterwards.

    Args:
        settings: the resolved configuration of pretrain.
        scans: one batch.
        encoder: what is trained; its weights change.
        fabric: where.

    Raises:
        UserError: an option does not fit, or the loss is not finite.
    """
    tried = copy.deepcopy(dict(settings))
    tried["monitor"] |= _MONITOR
    tried["trainer"] |= {"max_epochs": max(settings["trainer"]["max_epochs"], 2 * _STEPS), "progress": False}
    watch = _Watch(_WARM_UP.get(fabric.device.type, _WARM_UP_OF_A_GPU))
    snapshots = Snapshots(encoder, _no_card, keep="none")
    rows = scans.manifest.rows("all")
    loop = build_loop(tried, scans, rows, len(rows), fabric, encoder, [watch], snapshots)
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(_Enough):
            loop.fit(Path(folder), resume=False)
        n_bytes = (Path(folder) / "last.ckpt").stat().st_size
    started = time.perf_counter()
    loop.monitor(encoder, fabric)
    looked = time.perf_counter() - started
    seconds = [len(rows) * loop.views.n_views / rate for rate in watch.rates]
    return Steps(seconds, watch.save_seconds, looked, n_bytes)


class _Enough(Exception):
    """The trial has shown what it can."""


class _Watch(Logger):
    """Hears of every epoch of the loop, which is one step here, and ends the training when time is up.

    Args:
        warm_up: steps that are not counted.
    """

    def __init__(self, warm_up: int) -> None:
        super().__init__()
        self.rates: list[float] = []
        self.save_seconds = math.inf
        self._warm_up, self._started, self._heard = warm_up, 0.0, 0.0

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "doctor"

    @property
    def version(self) -> None:
        """None."""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing is kept of them."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """A row of metrics.csv: images per second of the last step, and when it was over."""
        now, epoch = time.perf_counter(), metrics["epoch"]
        if epoch > 1:  # between two rows: the state of the training is written, and a step is done
            self.save_seconds = min(self.save_seconds, max(0.0, now - self._heard - metrics["seconds"]))
        self._heard = now
        if epoch <= self._warm_up:
            self._started = now
            return
        self.rates.append(metrics["images_per_second"])
        if len(self.rates) >= _STEPS or (now - self._started > SECONDS and len(self.rates) > 1):
            raise _Enough


def _no_card(epochs: int) -> Any:
    raise AssertionError("no encoder of a trial is kept")
