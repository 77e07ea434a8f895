"""The page of `train`: how many labels are wrong, what was done about it, and how good the classifier is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from ssl_robust.files import read_columns
from ssl_robust.report.plots import Curve, plot
from ssl_robust.run import read_json


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `train.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    summary, results = read_json(directory / "train.json"), read_json(directory / "metrics.json")
    epochs = read_columns(directory / "metrics.csv")
    test = "test" if summary["test"]["labels_are_true"] else "test, labels as given"
    accuracy = plot(
        [Curve(test, epochs["epoch"], epochs["test_balanced_accuracy"]),
         Curve("validation, labels as given", epochs["epoch"], epochs["val_balanced_accuracy"], color=3, dashed=True)],
        x="epoch", title="Balanced accuracy", y_range=(0, 1),
    )  # fmt: skip
    plots = [reliability_plot(summary["test"]), selective_plot(summary["test"]), accuracy]
    return {"summary": summary, "results": results, "plots": plots}


def reliability_plot(measured: dict[str, Any]) -> Markup:
    """How often the predicted class is right, by how probable it is called."""
    curve = measured["reliability"]
    own = Curve("measured", [100 * each["confidence"] for each in curve], [each["accuracy"] for each in curve])
    ends = [own.x[0], max(own.x[-1], own.x[0] + 1)]
    ideal = Curve("as it should be", ends, [end / 100 for end in ends], color=3, dashed=True)
    return plot([ideal, own], x="probability of the predicted class, %", title="Share that is right", y_range=(0, 1.02))


def selective_plot(measured: dict[str, Any]) -> Markup:
    """What it is worth to leave the least sure scans to an expert."""
    curve = measured["selective"]
    x = [100 * each["abstained"] for each in curve]
    return plot([Curve("accuracy", x, [each["accuracy"] for each in curve]),
                 Curve("balanced accuracy", x, [each["balanced_accuracy"] for each in curve], color=2)],
                x="least sure scans left to an expert, %", title="Right among the others")  # fmt: skip
