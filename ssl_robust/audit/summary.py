"""The audit table -> audit.json: how many labels look wrong, class by class, and how right that is where known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust import metrics


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


def in_words(how: Mapping[str, Any]) -> str:
    """How neighbours were found (`Graph.how`) -> one phrase for people."""
    if how["kind"] == "exact":
        return "exact (FAISS flat, cosine)"
    return (
        f"nearly exact (cosine; {how['n_probed']} of {how['n_cells']} cells looked into around each, "
        f"{how['recall_at_k']:.1%} of the true {how['k']} neighbours found on {how['recall_measured_on']:,} samples)"
    )


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
    found = metrics.detection(wrong, score, groups=groups[rows], seed=seed, **interval)
    return {
        **counts,
        "auroc": found["auroc"]._asdict(),
        "average_precision": found["average_precision"]._asdict(),
        "precision_at": {name: each._asdict() for name, each in found["precision_at"].items()},
        "interval": dict(interval),
    }
