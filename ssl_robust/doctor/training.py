"""What pretraining will cost: the real method, encoder and views tried for some steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ssl_robust.data.scanset import FoundScans
from ssl_robust.doctor.cost import Cost, spread
from ssl_robust.doctor.forward import STEP, seconds_per_scan, weights_bytes
from ssl_robust.doctor.sample import Sample
from ssl_robust.doctor.trial import SECONDS, Steps, try_steps
from ssl_robust.pretrain.checks import check_settings, fitting_batch_size
from ssl_robust.pretrain.monitor import is_due
from ssl_robust.pretrain.selection import CRITERIA
from ssl_robust.pretrain.starting import starting_encoder
from ssl_robust.training.device import pick_precision
from ssl_robust.training.world import launch

_STEPS_AT_LEAST = 3  # one of them to warm up


def pretraining_cost(settings: dict[str, Any], found: FoundScans, some: Sample) -> Cost:
    """What a pretraining run costs, with one process.

    Args:
        settings: the resolved configuration.
        found: the whole set.
        some: of its scans.

    Raises:
        UserError: what `pretrain` would refuse, but for an `out` that is taken.
    """
    several = settings["trainer"].pop("strategy", None)
    check_settings(settings | {"resume": True})
    rows = found.manifest.rows(settings["data"]["split"])
    batch_size = fitting_batch_size(len(rows), settings, 1)
    fabric = launch(device=settings["trainer"]["device"], devices=None, prefix="trainer.")
    batch = some.scans(found, batch_size)
    encoder = starting_encoder(settings, batch, np.arange(batch_size), fabric)
    encoder.autocast = pick_precision(settings["trainer"]["precision"], fabric.device)
    forward = seconds_per_scan(encoder, batch, device=fabric.device)
    tried = _fitting(settings, batch_size, min(forward))
    weights = weights_bytes(encoder)
    steps = try_steps(settings, some.scans(found, tried), encoder, fabric)
    notes = [f"{len(steps.seconds)} steps were tried on {fabric.device.type}, with {tried} scans each"]
    notes += [f"a step of the run has {batch_size} scans and is counted as so much longer"] * (tried < batch_size)
    notes += ["several processes share the work: the time is that of one"] * bool(several)
    return _cost(settings, found, len(rows), batch_size, steps, tried, forward, weights, notes)


def _fitting(settings: Mapping[str, Any], batch_size: int, forward: float) -> int:
    """Scans of a step that can be tried in little time: all of a batch, but on a slow machine."""
    n_views = sum(crop["n"] for crop in settings["method"]["crops"])
    expected = STEP * n_views * batch_size * forward
    return min(batch_size, max(8, int(batch_size * SECONDS / _STEPS_AT_LEAST / expected)))


def _cost(
    settings: Mapping[str, Any], found: FoundScans, n_scans: int, batch_size: int, steps: Steps, tried: int,
    forward: list[float], weights: int, notes: list[str],
) -> Cost:  # fmt: skip
    n_epochs, monitor, n_steps = settings["trainer"]["max_epochs"], settings["monitor"], n_scans // batch_size
    looks = [epoch for epoch in range(n_epochs + 1) if is_due(epoch, n_epochs, monitor["every"])]
    seen, longer = _seen(found, monitor), batch_size / tried
    times = {
        "training": spread(n_epochs * n_steps * longer, steps.seconds),
        "saving": spread(n_epochs, [steps.save_seconds]),
        "monitor": spread(len(looks), [steps.look_seconds + seen * each for each in forward]),
    }
    kept = {"all": len(looks) - 1, "chosen": min(len(CRITERIA), len(looks) - 1), "none": 0}[monitor["keep"]]
    disk = {"encoder": weights, "snapshots (at most)": kept * weights, "last.ckpt": steps.checkpoint_bytes}
    plan = f"{n_epochs} epochs of {n_steps} steps with {batch_size} scans; {len(looks)} looks of the monitor, each at "
    return Cost(times, disk, [f"{plan}{seen:,} scans and views", *notes])


def _seen(found: FoundScans, settings: Mapping[str, Any]) -> int:
    """Forward passes of one look of the monitor; see `make_monitor`."""
    train, val = found.manifest.rows("train"), found.manifest.rows("val")
    unseen = len(val) or len(train) or len(found.manifest)
    voters = int((found.manifest.codes()[train] >= 0).sum()) if len(val) else 0
    lidar = settings["lidar"]
    return min(voters, settings["reference"]) + min(unseen, settings["queries"]) + (
        min(unseen, lidar["scans"]) * lidar["views"])  # fmt: skip
