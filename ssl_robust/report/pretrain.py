"""The page of a pretraining: is the loss falling, are the features good, have they collapsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.encoders.card import SNAPSHOTS
from ssl_robust.files import read_columns
from ssl_robust.report.plots import Curve, plot
from ssl_robust.run import read_json

_PLOTS = {
    "loss": "Loss (lower is better within one method)",
    "accuracy": "Accuracy in the method's own task",
    "knn_balanced_accuracy": "kNN balanced accuracy on validation scans",
    "effective_rank": "Effective rank of the features (RankMe)",
    "lidar": "Directions in which scans differ beyond their views (LiDAR)",
    "spectral_decay": "Decay of the spectrum (alpha-ReQ; 1 is held for best)",
    "feature_spread": "Feature spread (0 = collapsed, 1 = isotropic)",
}


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `pretrain.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    metrics, card = read_columns(directory / "metrics.csv"), read_json(directory / "encoder.json")
    start = "encoder at the start" if card.get("starts_from") else "random encoder"
    return {
        "card": card,
        "start": start,
        "began_with": card.get("starts_from", ""),
        "plots": [
            plot(_curves(metrics, name, start), x="epoch", title=title)
            for name, title in _PLOTS.items()
            if name in metrics and np.isfinite(metrics[name]).any()
        ],
        "knn": ends(metrics, "knn_balanced_accuracy"),
        "rank": ends(metrics, "effective_rank"),
        "loss": ends(metrics, "loss"),
        "choices": _choices(directory, run),
        "labels_chose": run.get("config", {}).get("monitor", {}).get("select") == "knn",
        "collapsed": bool(ends(metrics, "collapsed")[1] or 0),
    }


def _choices(directory: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """What each criterion would choose: its name, the epoch, whether the run left that one, and its folder."""
    return [
        {
            "criterion": criterion,
            "epoch": epoch,
            "left": epoch == run.get("epoch"),
            "folder": folder if (directory / folder).is_dir() else "",
        }
        for criterion, epoch in run.get("chosen", {}).items()
        for folder in [f"{SNAPSHOTS}/{epoch:04d}"]
    ]


def ends(metrics: dict[str, np.ndarray], name: str) -> tuple[float | None, float | None]:
    """First and last finite value of a column, None where there is none."""
    values = metrics.get(name, np.empty(0))
    values = values[np.isfinite(values)]
    return (float(values[0]), float(values[-1])) if len(values) else (None, None)


def _curves(metrics: dict[str, np.ndarray], name: str, start: str) -> list[Curve]:
    if name == "knn_balanced_accuracy":
        return knn_curves(metrics, start)
    return [Curve("", metrics["epoch"], metrics[name])]


def knn_curves(metrics: dict[str, np.ndarray], start: str = "random encoder") -> list[Curve]:
    """kNN accuracy over the epochs, and that of epoch 0, `start`, as a dashed line; empty where not measured."""
    first, _ = ends(metrics, "knn_balanced_accuracy")
    if first is None:
        return []
    epochs = metrics["epoch"]
    return [
        Curve("pretrained encoder", epochs, metrics["knn_balanced_accuracy"], color=1),
        Curve(start, epochs, np.full(len(epochs), first), color=3, dashed=True),
    ]
