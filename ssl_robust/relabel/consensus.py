"""Several readers of a scan: the label that follows from their answers, who has to look again, how far they agree.

"Unsure" is no vote. Repeats are none either: they tell how far a reader agrees with themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ssl_robust.data.agreement import agreement, cohen_kappa, fleiss_kappa
from ssl_robust.data.votes import RULES, coded, consensus, vote_counts
from ssl_robust.files import UserError
from ssl_robust.metrics import bootstrap_interval
from ssl_robust.relabel.answer import Answer

_FEWEST = 3  # readers whose errors Dawid and Skene can tell apart


def check_rule(rule: str, *, n_readers: int) -> None:
    """Say that a rule does not exist, or needs more readers.

    Raises:
        UserError: so it is.
    """
    if rule not in RULES:
        raise UserError(f"consensus={rule} does not exist; expected {' or '.join(RULES)}")
    if rule == "dawid_skene" and n_readers < _FEWEST:
        raise UserError(f"consensus=dawid_skene needs {_FEWEST} readers or more and {n_readers} gave labels; of fewer "
                        "nothing tells who erred, take consensus=majority")  # fmt: skip


def settle(votes: pd.DataFrame, deciding: Mapping[str, str | None], *, rule: str) -> tuple[pd.Series, np.ndarray]:
    """The label of each scan, and whether somebody has to decide it.

    Args:
        votes: (N, R) class names, NA where a reader gave none; the index is `sample_id`.
        deciding: what was said of scans on which readers differed, by whom it was put before; it outweighs all votes,
            unless it was "unsure" (None).
        rule: majority, or dawid_skene for three readers or more; a tie stays without a label.

    Returns:
        (N,) class names, NA where there is none; (N,) bool, true where readers differ and nobody has looked since.

    Raises:
        UserError: the rule does not exist, or there are too few readers for it.
    """
    check_rule(rule, n_readers=votes.shape[1])
    if votes.notna().to_numpy().any():
        label = consensus(votes, rule).set_axis(votes.index)
    else:
        label = pd.Series(pd.NA, index=votes.index, dtype="string")
    decided = pd.Series({name: answer for name, answer in deciding.items() if answer is not None}, dtype="string")
    label.loc[decided.index] = decided
    return label, differing(votes) & ~votes.index.isin(list(deciding))


def differing(votes: pd.DataFrame) -> np.ndarray:
    """(N,) bool, whether two readers gave a scan different labels."""
    return (votes.nunique(axis=1) > 1).to_numpy(dtype=bool)


def between_readers(votes: pd.DataFrame, *, n_resamples: int, level: float, seed: int) -> dict[str, Any] | None:
    """What a report says of two readers or more, see `ssl_robust.data.agreement`; None where there is one.

    Args:
        votes: as in `settle`.
        n_resamples: draws of the scans, for the interval of kappa.
        level: of that interval.
        seed: of the draws.

    Returns:
        With `interval`, (low, high) of kappa, None where no two readers saw the same scan.
    """
    if votes.shape[1] < 2:
        return None
    found = agreement(votes, consensus(votes, "majority"))
    if found["kappa"]["value"] is None:
        return {**found, "interval": None}
    codes, classes = coded(votes)
    looked = (codes >= 0).sum(axis=1)

    def kappa(drawn: np.ndarray) -> float:
        if drawn.shape[1] == 2:
            return cohen_kappa(drawn[:, 0], drawn[:, 1])
        return fleiss_kappa(vote_counts(drawn, n_classes=len(classes)))

    counted = codes[looked > 1] if codes.shape[1] == 2 else codes[looked > 0]
    interval = bootstrap_interval(kappa, counted, n_resamples=n_resamples, level=level, seed=seed)
    return {**found, "interval": [interval.low, interval.high]}


def with_themselves(first: Sequence[Answer], repeats: Sequence[Answer], *, level: float) -> list[dict[str, Any]]:
    """How often each reader gave a scan that came again the label they gave it at first.

    Scans of which they were unsure once are left out.

    Args:
        first: answers of readers that are no repeats.
        repeats: those that are.
        level: of the interval (Clopper and Pearson 1934).

    Returns:
        For each reader `name`, `n` repeats, `n_same`, `agreement`, `low` and `high`.
    """
    before = {(each.sample_id, each.annotator): each.answer for each in first}
    same: dict[str, list[bool]] = {}
    for each in repeats:
        earlier = before.get((each.sample_id, each.annotator))
        if earlier is not None and each.answer is not None:
            same.setdefault(each.annotator, []).append(earlier == each.answer)
    return [_share(name, np.array(found), level) for name, found in sorted(same.items())]


def _share(name: str, same: np.ndarray, level: float) -> dict[str, Any]:
    limits = binomtest(int(same.sum()), len(same)).proportion_ci(level)
    return {"name": name, "n": len(same), "n_same": int(same.sum()), "agreement": float(same.mean()),
            "low": float(limits.low), "high": float(limits.high)}  # fmt: skip
