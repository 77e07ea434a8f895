"""The page of a fine-tuning: accuracy by epoch, and how many wrong labels the classifier learned by heart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.files import read_columns
from ssl_robust.report.plots import Curve, plot
from ssl_robust.run import read_json

MEASURES = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "worst_class_recall": "recall of the worst class",
    "auroc": "AUROC",
    "ece": "calibration error (lower is better)",
    "memorised": "wrong labels learned by heart (lower is better)",
    "recovered": "wrong labels answered with the truth",
}


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `finetune.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    metrics = read_columns(directory / "metrics.csv")
    results = read_json(directory / "metrics.json")
    accuracy = [
        Curve("test, labels left as they are", metrics["epoch"], metrics["test_balanced_accuracy"], color=1),
        Curve("validation, labels as given", metrics["epoch"], metrics["val_balanced_accuracy"], color=3, dashed=True),
    ]
    plots = [
        plot([c for c in accuracy if np.isfinite(c.y).any()], x="epoch", title="Balanced accuracy", y_range=(0, 1))
    ]
    if np.isfinite(metrics["memorised"]).any():
        curves = [
            Curve("learned by heart", metrics["epoch"], metrics["memorised"], color=2),
            Curve("answered with the truth", metrics["epoch"], metrics["recovered"], color=1),
        ]
        plots.append(plot(curves, x="epoch", title="Training scans whose label is wrong", y_range=(0, 1)))
    if "loss" in metrics:
        plots.append(plot([Curve("", metrics["epoch"], metrics["loss"])], x="epoch", title="Training loss"))
    rows = [
        {"name": title, "best": results["best"].get(name), "last": results["last"].get(name)}
        for name, title in MEASURES.items()
        if results["best"].get(name) is not None or results["last"].get(name) is not None
    ]
    return {"results": results, "rows": rows, "plots": plots}
