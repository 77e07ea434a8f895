"""The page of `predict`: how many scans of each class, how many for an expert, and how right where labels are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_robust.report.train import reliability_plot, selective_plot
from ssl_robust.run import read_json


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `predict.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    summary = read_json(directory / "predict.json")
    measured = summary["measured"]
    return {
        "summary": summary,
        "names": [each["name"] for each in summary["classes"]],
        "plots": [] if measured is None else [reliability_plot(measured), selective_plot(measured)],
        "n_unreadable": len(run.get("unreadable", [])),
    }
