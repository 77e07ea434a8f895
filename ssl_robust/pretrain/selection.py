"""Which of the encoders that a training passes through is the good one? Told without clean labels.

A loss cannot be compared between methods, and the last encoder need not be the best. Each criterion is a column of
metrics.csv, known at every look of the monitor; the encoders that they choose lie in `snapshots/`, each a checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.encoders.card import SNAPSHOTS, Card
from ssl_robust.encoders.checkpoint import save_encoder
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.files import read_columns
from ssl_robust.run import Run, UserError, replacing

# Criterion, as in `monitor.select=` -> its column in metrics.csv; higher is better in all but the last.
CRITERIA = {
    "knn": "knn_balanced_accuracy",
    "rankme": "effective_rank",
    "lidar": "lidar",
    "alpha_req": "spectral_decay",
}
LAST = "last"
KEPT = ("chosen", "all", "none")


def goodness(criterion: str, values: np.ndarray) -> np.ndarray:
    """Values of a criterion's column -> how good they are, higher = better."""
    return -np.abs(values - 1) if criterion == "alpha_req" else values


def choose(rows: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Criterion -> the epoch that it chooses among those looked at, the later one of equals.

    The untrained encoder, epoch 0, is no candidate.

    Args:
        rows: columns of a metrics.csv, NaN where there was no look.
    """
    chosen = {}
    for criterion, column in CRITERIA.items():
        values = np.where(rows["epoch"] > 0, goodness(criterion, rows.get(column, np.array(np.nan))), np.nan)
        if np.isfinite(values).any():
            best = np.flatnonzero(values == np.nanmax(values))[-1]
            chosen[criterion] = int(rows["epoch"][best])
    return chosen


class Snapshots:
    """Keeps, after each look, the encoder as it is if a criterion would choose it; drops those no longer chosen.

    All of it follows from metrics.csv, so that a resumed run needs no memory of its own.

    Args:
        encoder: what is trained.
        describe: epochs done -> the card of the encoder as it is.
        keep: chosen, all or none.
    """

    def __init__(self, encoder: Encoder, describe: Callable[[int], Card], *, keep: str) -> None:
        self.encoder, self.describe, self.keep = encoder, describe, keep

    def look(self, out: Path, epoch: int) -> None:
        """Called when the row of `epoch` has just been written to `out/metrics.csv`."""
        if self.keep == "none" or epoch == 0:
            return
        if self.keep == "all" or place(out, epoch) in _chosen_places(out):
            save_encoder(self.encoder, place(out, epoch), card=self.describe(epoch))

    def drop(self, out: Path) -> None:
        """Called when `last.ckpt` has been saved, too: a run that is killed before may come to another choice."""
        if self.keep == "chosen":
            for old in set((out / SNAPSHOTS).glob("*")) - _chosen_places(out):
                shutil.rmtree(old)


def place(out: Path, epoch: int) -> Path:
    """Directory of the snapshot after `epoch` epochs."""
    return out / SNAPSHOTS / f"{epoch:04d}"


def _chosen_places(out: Path) -> set[Path]:
    return {place(out, epoch) for epoch in choose(read_columns(out / "metrics.csv")).values()}


def epoch_of(select: str, rows: Mapping[str, np.ndarray]) -> int:
    """The epoch whose encoder a run leaves behind as its result.

    Args:
        select: last, or a criterion; the last epoch where it could not be told on these scans.
        rows: columns of the finished metrics.csv.
    """
    return choose(rows).get(select, int(rows["epoch"][-1]))


def leave(run: Run, snapshots: Snapshots, *, select: str) -> None:
    """Write the encoder that a run leaves behind, note which one it is and what each criterion would have chosen.

    Args:
        run: whose metrics.csv has its last row.
        snapshots: of that run.
        select: as in `epoch_of`.
    """
    rows = read_columns(run / "metrics.csv")
    epoch, last = epoch_of(select, rows), int(rows["epoch"][-1])
    if epoch == last:
        save_encoder(snapshots.encoder, run.path, card=snapshots.describe(last))
    else:
        for file in place(run.path, epoch).iterdir():
            with replacing(run / file.name) as temporary:
                shutil.copyfile(file, temporary)
    chosen = choose(rows)
    run.note(epoch=epoch, chosen=chosen)
    if select != LAST:
        how = f"chosen by {select}" if select in chosen else f"since {select} could not be told on these scans"
        print(f"encoder.safetensors is that of epoch {epoch} of {last}, {how}", flush=True)


def check_selection(settings: Mapping[str, Any]) -> None:
    """Refuse a `monitor` node whose selection cannot be.

    Raises:
        UserError: an unknown criterion, or one whose encoders are not kept.
    """
    select, keep = settings["select"], settings["keep"]
    if select not in (LAST, *CRITERIA):
        raise UserError(f"monitor.select={select} is unknown; expected {', '.join([LAST, *CRITERIA])}")
    if keep not in KEPT:
        raise UserError(f"monitor.keep={keep} is unknown; expected {', '.join(KEPT)}")
    if keep == "none" and select != LAST:
        raise UserError(f"monitor.select={select} needs the encoder that it chooses; take monitor.keep=chosen")
