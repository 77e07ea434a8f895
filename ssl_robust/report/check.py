"""The page of a check: what was found in the data, the worst first, with the pictures that show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_robust.report.artefacts import read_thumbnails
from ssl_robust.report.plots import Dots, dot_plot
from ssl_robust.run import read_json

_MOST = 8  # readers whose kappas with each other make a table that can be read
_FACTS = {"format": "format", "bits": "bits per value", "color": "color", "modality": "modality"}


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `check.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    summary = read_json(directory / "check.json")
    shown = summary["shown"]
    return {
        "summary": summary,
        "largest_class": max((each["n"] for each in summary["counts"]["classes"]), default=0),
        "texts": {_FACTS.get(name, name): values for name, values in summary["files"]["texts"].items()},
        "readers": _readers(summary.get("readers")),
        "plot": _plot(summary["shortcuts"]),
        "thumbnails": read_thumbnails(directory / "thumbnails.npz") if shown["has_thumbnails"] else [],
        "settings": run["config"],
    }


def _readers(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """A row for each reader, with Cohen's kappa with each of the others where these are few."""
    if found is None:
        return None
    names = [each["name"] for each in found["readers"]]
    kappas = {frozenset(pair["readers"]): pair["kappa"] for pair in found["pairs"]}
    columns = names if len(names) <= _MOST else []
    rows = [
        {**each, "kappas": [kappas.get(frozenset((each["name"], other))) for other in columns]}
        for each in found["readers"]
    ]
    return {"rows": rows, "columns": columns, "classes": list(found["readers"][0].get("sensitivity", []))}


def _plot(shortcuts: list[dict[str, Any]]) -> Any:
    """A dot for each property; None where nothing was measured."""
    if not shortcuts:
        return None
    values, low, high = ([each[key] for each in shortcuts] for key in ("estimate", "low", "high"))
    dots = Dots("this property alone", values, low, high, color=1)
    lines = [each["name"].replace(" in bytes", "") for each in shortcuts]
    return dot_plot(lines, [dots], title="Balanced accuracy", reference=("by chance", shortcuts[0]["chance"]))
