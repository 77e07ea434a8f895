"""The page of a probe: is the encoder better than nothing, by how much, and how sure is that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_robust.report.plots import Dots, dot_plot
from ssl_robust.run import read_json

MEASURES = {
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "macro_f1": "macro F1",
    "worst_class_recall": "recall of the worst class",
}
FEATURES = {"encoder": "encoder", "random": "random encoder", "histogram": "histogram"}
_COLORS = {"encoder": 1, "random": 2, "histogram": 3}


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `probe.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    summary = read_json(directory / "probe.json")
    names = [name for name in FEATURES if name in summary["effective_rank"]]
    # (features, minus, protocol, measure) -> its row with value, low and high.
    rows = {tuple(row[key] for key in ("features", "minus", "protocol", "measure")): _named(row)
            for row in summary["rows"]}  # fmt: skip
    protocols = [_protocol(each, summary, names) for each in summary["protocols"]]
    return {
        "summary": summary,
        "names": names,
        "titles": FEATURES,
        "measures": MEASURES,
        "rows": rows,
        "protocols": protocols,
        "plot": _plot(rows, protocols, names, len(summary["classes"])),
        "n_unreadable": len(run.get("unreadable", [])),
    }


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {"estimate": row["value"], "low": row["low"], "high": row["high"]}


def _protocol(facts: dict[str, Any], summary: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """What was fitted to, in words and means over the draws."""
    few = facts["share"] < 1
    return {
        **facts,
        "title": f"{100 * facts['share']:g} % of labels" if few else {"knn": "kNN"}.get(facts["name"], facts["name"]),
        "mean_scans": sum(facts["n_scans"]) / len(facts["n_scans"]),
        "mean_patients": sum(facts["n_patients"]) / len(facts["n_patients"]),
        "draws": {name: _draws(summary, name, facts["name"]) for name in names},
    }


def _draws(summary: dict[str, Any], name: str, protocol: str) -> list[float]:
    """Balanced accuracy of each draw of few labels; empty where there is one draw only."""
    for each in summary["draws"]:
        if (each["features"], each["protocol"]) == (name, protocol):
            return each["balanced_accuracy"]
    return []


def _plot(rows: dict[tuple, dict[str, Any]], protocols: list[dict[str, Any]], names: list[str], n_classes: int) -> Any:
    def column(name: str, key: str) -> list[float]:
        found = [rows[name, None, each["name"], "balanced_accuracy"][key] for each in protocols]
        return [float("nan") if value is None else value for value in found]

    dots = [
        Dots(FEATURES[name], column(name, "estimate"), column(name, "low"), column(name, "high"), _COLORS[name])
        for name in names
    ]
    lines = [each["title"] for each in protocols]
    return dot_plot(lines, dots, title="Balanced accuracy on test scans", reference=("by chance", 1 / n_classes))
