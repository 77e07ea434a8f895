"""What became of the runs of a sweep: a line each on the screen, a row each in `sweep.csv`."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_robust.run import UserError, read_json

TABLE = "sweep.csv"


def headline(stage: str, out: Path) -> dict[str, float]:
    """The one or two numbers by which runs of a stage are compared; none where the run has not got so far.

    Args:
        stage: name of the stage.
        out: the run's directory.
    """
    try:
        return {name: value for name, value in _HEADLINES[stage](out).items() if value is not None}
    except (KeyError, OSError, UserError):
        return {}


def _pretrain(out: Path) -> dict[str, Any]:
    with (out / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = ("knn_balanced_accuracy", "effective_rank")
    last = {name: [row[name] for row in rows if row.get(name)] for name in names}
    return {name: float(values[-1]) if values else None for name, values in last.items()}


def _finetune(out: Path) -> dict[str, Any]:
    measures = read_json(out / "metrics.json")
    return {f"{which}_balanced_accuracy": measures[which]["balanced_accuracy"] for which in ("best", "last")}


def _audit(out: Path) -> dict[str, Any]:
    found = read_json(out / "audit.json")
    precision = (found.get("truth") or {}).get("average_precision", {}).get("estimate")
    return {"n_flagged": found["n_flagged"], "average_precision": precision}


def _probe(out: Path) -> dict[str, Any]:
    wanted = {"features": "encoder", "minus": None, "measure": "balanced_accuracy"}
    rows = [each for each in read_json(out / "probe.json")["rows"] if wanted.items() <= each.items()]
    values = {each["protocol"]: each["value"] for each in rows}
    return {f"{name}_balanced_accuracy": values[name] for name in ("logistic", "knn")}


def _check(out: Path) -> dict[str, Any]:
    found = read_json(out / "check.json")["n_findings"]
    return {"n_problems": found["problem"], "n_to_look_at": found["look"]}


def _embed(out: Path) -> dict[str, Any]:
    return {"n_scans": read_json(out / "run.json")["n_scans"]}


_HEADLINES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "pretrain": _pretrain, "finetune": _finetune, "probe": _probe, "audit": _audit,
    "embed": _embed, "check": _check,
}  # fmt: skip


def write(rows: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write `sweep.csv`; a column is there if any run has it.

    Args:
        rows: of the runs, in their order.
        folder: the sweep's own.

    Returns:
        The file.
    """
    import pandas as pd

    from ssl_robust.data.written import write_table

    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / TABLE, pd.DataFrame([dict(row) for row in rows]))
    return folder / TABLE


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table for a screen: what does not fit is cut, and what went wrong stands below its run."""
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in ("error", "out")]
    cells = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    shown = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    found = [shown[0]]
    for line, row in zip(shown[1:], rows, strict=True):
        found += [line, *([f"  {row['error']}"] if row.get("error") else [])]
    limit = max(60, shutil.get_terminal_size((160, 24)).columns)
    return [line if line.startswith("  ") else line[:limit] for line in found]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "" if value is None else str(value)
    return text if len(text) <= 40 else f"…{text[-39:]}"
