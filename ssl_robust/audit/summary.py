"""The audit table -> audit.json: how many labels look wrong, class by class, and how right that is where known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from ssl_robust import metrics

_CUTS = (10, 50, 100)


def summarize(
    table: pd.DataFrame, groups: np.ndarray, *, classes: Sequence[str], interval: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Counts, classes and measures of an audit table.

    Args:
        table: `label`, `suggested_label`, `score`, `rank`, and `is_wrong` where the truth of any sample is known.
        groups: (N,) patient codes, drawn as a whole for the intervals.
        classes: names in the order of their codes.
        interval: `n_resamples` and `level` of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `n`, `n_labelled`, `n_flagged` (another class has more votes than the given one), `classes` (one dict each),
        and `truth`, None where nothing is known.
    """
    labelled = table["rank"].notna().to_numpy(dtype=bool)
    flagged = labelled & table["label"].ne(table["suggested_label"]).fillna(False).to_numpy(dtype=bool)
    known = "is_wrong" in table
    per_class = []
    for name in classes:
        mine = (table["label"] == name).fillna(False).to_numpy(dtype=bool)
        row = {"name": name, "n": int(mine.sum()), "n_flagged": int(flagged[mine].sum())}
        row["flag_rate"] = row["n_flagged"] / max(1, row["n"])
        if known:
            row["n_wrong"] = int(table.loc[mine, "is_wrong"].fillna(False).sum())
        per_class.append(row)
    return {
        "n": len(table),
        "n_labelled": int(labelled.sum()),
        "n_flagged": int(flagged.sum()),
        "classes": per_class,
        "truth": _against_truth(table, groups, interval, seed) if known else None,
    }


def _against_truth(
    table: pd.DataFrame, groups: np.ndarray, interval: Mapping[str, Any], seed: int
) -> dict[str, Any] | None:
    """Measures of finding the wrong labels, each with a bootstrap interval."""
    rows = np.flatnonzero((table["rank"].notna() & table["is_wrong"].notna()).to_numpy(dtype=bool))
    wrong = table["is_wrong"].iloc[rows].to_numpy(dtype=bool)
    n_wrong = int(wrong.sum())
    counts = {"n_known": len(rows), "n_wrong": n_wrong}
    if n_wrong in (0, len(rows)):
        return counts
    score = table["score"].iloc[rows].to_numpy(dtype=np.float64)
    rank = table["rank"].iloc[rows].to_numpy(dtype=np.int64)
    cuts: dict[str, int | None] = {str(cut): cut for cut in _CUTS if cut <= len(rows)} | {"n_wrong": None}

    def measured(statistic: Any, values: np.ndarray) -> dict[str, float]:
        return metrics.bootstrap_interval(
            statistic, wrong, values, groups=groups[rows], seed=seed, **interval
        )._asdict()

    return {
        **counts,
        "auroc": measured(partial(_unless_alike, roc_auc_score), score),
        "average_precision": measured(partial(_unless_alike, average_precision_score), score),
        "precision_at": {name: measured(partial(_share_among_first, cut), rank) for name, cut in cuts.items()},
        "interval": dict(interval),
    }


def _unless_alike(measure: Any, wrong: np.ndarray, score: np.ndarray) -> float:
    """NaN for a draw in which nothing or everything is wrong."""
    return float(measure(wrong, score)) if wrong.any() and not wrong.all() else float("nan")


def _share_among_first(cut: int | None, wrong: np.ndarray, rank: np.ndarray) -> float:
    """Share of wrong labels among the first by rank, as a person would look at them; None: as many as are wrong."""
    first = np.argsort(rank, kind="stable")[: wrong.sum() if cut is None else cut]
    return float(wrong[first].mean()) if len(first) else float("nan")
