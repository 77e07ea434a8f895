"""The audit table -> audit.json: how many labels look wrong, class by class, and how right that is where known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust import metrics
from ssl_robust.audit.judged import Judged

_POINTS = 200  # of the curve of finds against reading


def summarize(
    table: pd.DataFrame, groups: np.ndarray, *, classes: Sequence[str], judged: Judged | None,
    interval: Mapping[str, Any], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Counts, classes and measures of an audit table.

    Args:
        table: `label`, `suggested_label`, `score`, `rank`, `p_mislabeled` where there are probabilities, and `is_wrong`
            where the truth of any sample is known.
        groups: (N,) patient codes, drawn as a whole for the intervals.
        classes: names in the order of their codes.
        judged: where the probabilities are from; None where a finished audit judged.
        interval: `n_resamples` and `level` of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `n`, `n_labelled`, `n_flagged` (more likely wrong than right), `classes` (one dict each), `effort` (expected
        finds when the first n are read), `sentence`, and `truth`, None where nothing is known.
    """
    labelled = table["rank"].notna().to_numpy(dtype=bool)
    flagged = labelled & table["label"].ne(table["suggested_label"]).fillna(False).to_numpy(dtype=bool)
    effort = _effort(table)
    return {
        "n": len(table),
        "n_labelled": int(labelled.sum()),
        "n_flagged": int(flagged.sum()),
        "classes": [_of_class(table, flagged, name, code, judged) for code, name in enumerate(classes)],
        "effort": effort,
        "sentence": _sentence(judged, effort),
        "truth": _against_truth(table, groups, interval, seed) if "is_wrong" in table else None,
    }


def _of_class(table: pd.DataFrame, flagged: np.ndarray, name: str, code: int, judged: Judged | None) -> dict[str, Any]:
    mine = (table["label"] == name).fillna(False).to_numpy(dtype=bool)
    row: dict[str, Any] = {"name": name, "n": int(mine.sum()), "n_flagged": int(flagged[mine].sum())}
    row["flag_rate"] = row["n_flagged"] / max(1, row["n"])
    sure = table["p_mislabeled"].to_numpy(dtype=np.float64)[mine & flagged] if "p_mislabeled" in table else []
    row["precision"] = float(np.mean(sure)) if len(sure) else None
    can = judged is None or bool(judged.can_be_judged[code])
    row["judged"] = can
    n = 0 if judged is None else int(judged.n_patients[code])
    row["why"] = None if can else f"{n:,} {'patient' if n == 1 else 'patients'} with it, too few to judge"
    estimate = None if judged is None or judged.estimate is None or not can else judged.estimate.by_class[code]
    row["n_wrong_estimate"] = None if estimate is None else estimate._asdict()
    if "is_wrong" in table:
        row["n_wrong"] = int(table.loc[mine, "is_wrong"].fillna(False).sum())
    return row


def _effort(table: pd.DataFrame) -> list[dict[str, float]]:
    """Expected wrong labels among the first n by rank, at up to 200 n."""
    if "p_mislabeled" not in table:
        return []
    labelled = table["rank"].notna().to_numpy(dtype=bool)
    p = np.nan_to_num(table["p_mislabeled"].to_numpy(dtype=np.float64, na_value=0.0)[labelled])
    order = np.argsort(table["rank"].to_numpy(dtype=np.float64, na_value=np.inf)[labelled])
    found = np.concatenate([[0.0], np.cumsum(p[order])])
    # Half of the points among the first tenth, where reading begins.
    first = np.linspace(0, len(p) / 10, _POINTS // 2)
    cuts = np.unique(np.concatenate([first, np.linspace(len(p) / 10, len(p), _POINTS // 2)]).round().astype(int))
    return [{"n": int(cut), "found": round(float(found[cut]), 3)} for cut in cuts]


def _sentence(judged: Judged | None, effort: list[dict[str, float]]) -> str | None:
    """How many labels are wrong, and what reading is worth, in words."""
    if judged is None:
        return None
    if judged.estimate is None:
        return judged.why
    estimate = judged.estimate
    middle, low, high = (value * estimate.n for value in estimate.rate)
    said = f"About {middle:,.0f} labels are wrong ({estimate.level:.0%} interval {low:,.0f}–{high:,.0f})"
    n = round(middle)
    if len(effort) < 2 or n < 1:
        return said
    found = np.interp(n, [each["n"] for each in effort], [each["found"] for each in effort])
    return f"{said}; reading the first {n:,} finds about {found:,.0f} of them"


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
