"""The page of a comparison of policies: what is left after how many answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ssl_robust.data.columns import read_table
from ssl_robust.report.plots import Curve, plot
from ssl_robust.run import read_json

MEASURES = {
    "noise": "labels still wrong",
    "balanced_accuracy": "balanced accuracy",
    "worst_class_recall": "recall of the worst class",
}
_BOUNDS = ("random", "oracle")


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `simulate.html`.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    facts = read_json(directory / "simulate.json")
    curves, policies = (_numbers(read_table(directory / name)) for name in ("curves.csv", "policies.csv"))
    measured = list(MEASURES) if facts["n_test"] else ["noise"]
    rows: list[dict[str, Any]] = policies.sort_values("to_halve", kind="stable").to_dict("records")
    own = [row for row in rows if row["policy"] not in _BOUNDS]
    last = max(run["config"]["budgets"])
    return {
        "facts": facts,
        "rows": rows,
        "best": own[0] if own else None,
        "plots": [_plot(pd.DataFrame(curves[curves["share"] <= last + 0.01]), name) for name in measured],
        "random": next((row for row in rows if row["policy"] == "random"), None),
    }


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    named = [(str(name), column) for name, column in table.items() if name != "policy"]
    numbers = {name: column.astype("Float64").astype("float64") for name, column in named}
    return table.assign(**numbers)


def _plot(curves: pd.DataFrame, measure: str) -> Markup:
    """Means over seeds."""
    lines = []
    for number, (policy, group) in enumerate(curves.groupby("policy", sort=False)):
        # Budgets are shares that are rounded to answers, alike in all seeds up to one answer.
        by_seed = [each for _, each in group.groupby("seed")]
        x = 100 * np.mean([each["share"].to_numpy() for each in by_seed], axis=0)
        y = np.mean([each[measure].to_numpy() for each in by_seed], axis=0)
        values = {"x": x, "y": y, "color": 1 + number % 6}
        lines.append(Curve(str(policy), **values, dashed=policy in _BOUNDS, marked=True))
    return plot(lines, x="answers, % of the scans", title=MEASURES[measure], names_below=True)
