"""duplicates.csv and outliers.csv -> what a page shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_robust.data.columns import read_table

_MOST_GROUPS, _MOST_SCANS, _MOST_OUTLIERS = 60, 12, 24  # what a person looks at; the tables have all


def read_copies(path: Path, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Clusters of the same picture, those under different labels first.

    Args:
        path: duplicates.csv; without it there are none.
        numbers: pictures of samples, see `pictured`.

    Returns:
        `n`, clusters in all; `n_conflicts`; `groups`, the first of them.
    """
    table = read_table(path) if path.exists() else pd.DataFrame({"cluster": []})
    if table.empty:
        return {"n": 0, "n_conflicts": 0, "groups": []}
    table = table.assign(conflict=_true(table, "conflict"))
    conflicts = dict.fromkeys(table["cluster"][table["conflict"]])
    ordered = list(conflicts | dict.fromkeys(table["cluster"]))
    groups = [_group(table.loc[table["cluster"] == name], numbers) for name in ordered[:_MOST_GROUPS]]
    return {"n": len(ordered), "n_conflicts": len(conflicts), "groups": groups}


def read_outliers(path: Path, numbers: Mapping[str, int]) -> dict[str, Any]:
    """The scans that are farthest from all others.

    Args:
        path: outliers.csv; without it there are none.
        numbers: pictures of samples, see `pictured`.
    """
    table = read_table(path) if path.exists() else pd.DataFrame()
    return {"n": len(table), "scans": [_scan(each, numbers) for each in table.head(_MOST_OUTLIERS).to_dict("records")]}


def _group(table: pd.DataFrame, numbers: Mapping[str, int]) -> dict[str, Any]:
    across = [what for what in ("splits", "patients") if _true(table, f"across_{what}").any()]
    similarities = [float(each) for each in table["similarity"].dropna()]
    return {
        "n": len(table),
        "conflict": bool(table["conflict"].any()),
        "exact": bool((table["kind"] == "exact").all()),
        "similarity": min(similarities, default=None),
        "across": across,
        "scans": [_scan(each, numbers) for each in table.head(_MOST_SCANS).to_dict("records")],
    }


def _scan(line: Mapping[Any, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    texts = {name: line.get(name) for name in ("sample_id", "label", "split")}
    known = {name: text if isinstance(text, str) else None for name, text in texts.items()}
    return {**known, "thumbnail": numbers.get(line["sample_id"])}


def _true(table: pd.DataFrame, name: str) -> pd.Series:
    """A column of true and false, all false where there is none."""
    if name not in table:
        return pd.Series(False, index=table.index)
    return (table[name].str.lower() == "true").fillna(False).astype(bool)
