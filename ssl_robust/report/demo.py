"""The page of the demo: the whole story in three pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.files import read_columns
from ssl_robust.report.audit import read_suspects
from ssl_robust.report.page import render_page
from ssl_robust.report.plots import Curve, plot
from ssl_robust.report.pretrain import ends, knn_curves
from ssl_robust.run import read_json


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `demo.html`, read from the sub-runs that demo.json names.

    Args:
        directory: the run directory.
        run: its run.json.

    Raises:
        FileNotFoundError: an artefact is missing.
    """
    demo = read_json(directory / "demo.json")
    metrics = read_columns(directory / demo["pretrain"] / "metrics.csv")
    curves = knn_curves(metrics)
    finetuned = {
        (each["init"], each["rate"]): read_json(directory / each["run"] / "metrics.json") for each in demo["finetune"]
    }
    rates = sorted({rate for _, rate in finetuned})
    audit = directory / demo["audit"]
    for name in (demo["pretrain"], demo["audit"], *(each["run"] for each in demo["finetune"])):
        render_page(directory / name)  # so that the links lead somewhere
    return {
        "minutes": demo["minutes"],
        "knn": ends(metrics, "knn_balanced_accuracy"),
        "knn_plot": plot(curves, x="epoch", title="kNN balanced accuracy", y_range=(0, 1)) if curves else None,
        "rates": rates,
        "rows": (rows := _rows(finetuned, rates)),
        "noisiest": next((row for row in reversed(rows) if row["scratch"] and row["pretrained"]), None),
        "noise_plot": plot(_noise_curves(finetuned, rates), x="wrong labels in training",
                           title="Balanced accuracy on clean test labels", percent_x=True, y_range=(0, 1)),
        "summary": read_json(audit / "audit.json"),
        "audit": demo["audit"],
        **read_suspects(audit),
    }  # fmt: skip


def _rows(finetuned: dict[tuple[str, float], dict[str, Any]], rates: list[float]) -> list[dict[str, Any]]:
    return [
        {
            "rate": rate,
            **{init: finetuned.get((init, rate), {}).get("last", {}) for init in ("scratch", "pretrained")},
        }
        for rate in rates
    ]


def _noise_curves(finetuned: dict[tuple[str, float], dict[str, Any]], rates: list[float]) -> list[Curve]:
    """LAST of every run: nobody has clean labels to choose the best epoch with."""
    curves = []
    for init, name, color in (("pretrained", "pretrained encoder", 1), ("scratch", "from scratch", 2)):
        values = [finetuned.get((init, rate), {}).get("last", {}).get("balanced_accuracy") for rate in rates]
        curves.append(Curve(name, rates, np.array([np.nan if v is None else v for v in values]), color=color))
    return curves
