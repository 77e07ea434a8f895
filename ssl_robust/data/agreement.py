"""How far the readers of the same scans agree, as plain numbers for a report and as one line for the screen.

Not every reader need have looked at every scan. Kappa is agreement beyond chance: 1 = always, 0 = as often as readers
would who draw their labels by their own frequencies.
"""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from ssl_robust.data.votes import coded, vote_counts

_SHOWN = 6  # names of readers on the screen


def agreement(votes: pd.DataFrame, labels: pd.Series) -> dict[str, Any]:
    """What a report says about the readers; shares and kappas are None where nothing can be compared.

    Args:
        votes: (N, R) texts, NA where a reader gave no label.
        labels: (N,) texts that were made of them, NA where none was.

    Returns:
        readers: for each `name`, `n` labels given, `n_shared` of them on scans that another reader saw, too;
            `with_others`, how often one of those says the same (the mean over these scans); `others`, how often the
            others agree among themselves (`pairwise_agreement` without this reader);
        n_scans: with a label of any reader; n_shared: of two or more; n_unsettled: of any, but without a label;
        unanimous: share of the shared scans on which all who looked agree;
        pairwise: mean share of pairs of readers that agree, over the shared scans;
        kappa: `name` and `value`, Cohen's of two readers, Fleiss' of more;
        pairs: `readers`, `n` scans that both saw, `agreement`, `kappa` (Cohen's), for every two readers;
        classes: `name`, `n` labels, `agreement`: see `class_agreement`.
    """
    codes, classes = coded(votes)
    counts = vote_counts(codes, n_classes=len(classes))
    looked = counts.sum(axis=1)
    shared = counts[looked > 1]
    pairs = [_pair(votes, codes, a, b) for a, b in combinations(range(votes.shape[1]), 2)]
    if votes.shape[1] == 2:
        kappa = {"name": "Cohen's kappa", "value": pairs[0]["kappa"]}
    else:
        kappa = {"name": "Fleiss' kappa", "value": _or_none(fleiss_kappa(counts))}
    of_classes = class_agreement(counts)
    return {
        "readers": [_reader(str(name), codes[:, place], counts) for place, name in enumerate(votes)],
        "n_scans": int((looked > 0).sum()),
        "n_shared": len(shared),
        "n_unsettled": int(((looked > 0) & labels.isna().to_numpy()).sum()),
        "unanimous": float((shared.max(axis=1) == shared.sum(axis=1)).mean()) if len(shared) else None,
        "pairwise": _or_none(pairwise_agreement(counts)),
        "kappa": kappa,
        "pairs": pairs,
        "classes": [
            {"name": str(name), "n": int(n), "agreement": _or_none(share)}
            for name, n, share in zip(classes, counts.sum(axis=0), of_classes, strict=True)
        ],
    }


def pairwise_agreement(counts: np.ndarray) -> float:
    """Share of pairs of readers that agree, its mean over the scans with two labels or more (Fleiss 1971, mean of P_i).

    Args:
        counts: (N, K) how many readers gave each class; rows may have different sums.

    Returns:
        NaN where no scan has two labels.
    """
    n = counts.sum(axis=1)
    counts, n = counts[n > 1], n[n > 1]
    return float(((counts * (counts - 1)).sum(axis=1) / (n * (n - 1))).mean()) if len(n) else np.nan


def fleiss_kappa(counts: np.ndarray) -> float:
    """Fleiss' kappa (1971, Psychol. Bull. 76(5), 378-382), for scans that different numbers of readers saw.

    Gwet's form (2014, Handbook of Inter-Rater Reliability, 4th ed., ch. 2) of what agrees and what chance would: the
    first from scans with two labels or more, the second from all, each of which has the same weight.

    Args:
        counts: (N, K) how many readers gave each class; rows may have different sums.

    Returns:
        At most 1; NaN where no scan has two labels, or all labels are of one class.
    """
    n = counts.sum(axis=1)
    shares = (counts[n > 0] / n[n > 0][:, None]).mean(axis=0) if (n > 0).any() else np.ones(1)
    by_chance = float((shares**2).sum())
    return (pairwise_agreement(counts) - by_chance) / (1 - by_chance) if by_chance < 1 else np.nan


def class_agreement(counts: np.ndarray) -> np.ndarray:
    """(K,) how often a second reader gives the class that one gave (Fleiss 1971); NaN where none could.

    Args:
        counts: (N, K) how many readers gave each class.
    """
    others = counts.sum(axis=1, keepdims=True) - 1
    possible, agreed = (counts * others).sum(axis=0), (counts * (counts - 1)).sum(axis=0)
    return np.where(possible > 0, agreed / np.maximum(possible, 1), np.nan)


def cohen_kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Cohen's kappa (1960) of two readers of the same scans; NaN where chance alone would make them agree.

    Args:
        first: (n,) codes.
        second: (n,) codes.
    """
    if len(first) == 0:
        return np.nan
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # one class throughout: scikit-learn warns, newer versions by a class of its own
        return float(cohen_kappa_score(first, second))


def in_words(found: dict[str, Any]) -> str:
    """One line for the screen.

    Args:
        found: from `agreement`.
    """
    names = [reader["name"] for reader in found["readers"]]
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    parts = [f"{len(names)} readers ({shown}) gave labels to {found['n_scans']:,} scans"]
    if found["n_shared"]:
        parts.append(f"{found['n_shared']:,} of which two or more saw: all agree on {found['unanimous']:.1%}")
        if found["kappa"]["value"] is not None:
            parts.append(f"{found['kappa']['name']} {found['kappa']['value']:.2f}")
    else:
        parts.append("no two saw the same one")
    if found["n_unsettled"]:
        parts.append(f"{found['n_unsettled']:,} without a label as their readers tie")
    return ", ".join(parts)


def _reader(name: str, codes: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    own = (codes[:, None] == np.arange(counts.shape[1])).astype(counts.dtype)
    others = counts - own
    n_others = others.sum(axis=1)
    shared = (codes >= 0) & (n_others > 0)
    same = (others * own).sum(axis=1)[shared] / n_others[shared]
    return {
        "name": name,
        "n": int((codes >= 0).sum()),
        "n_shared": int(shared.sum()),
        "with_others": float(same.mean()) if shared.any() else None,
        "others": _or_none(pairwise_agreement(others)),
    }


def _pair(votes: pd.DataFrame, codes: np.ndarray, a: int, b: int) -> dict[str, Any]:
    both = (codes[:, a] >= 0) & (codes[:, b] >= 0)
    first, second = codes[both, a], codes[both, b]
    return {
        "readers": [str(votes.columns[a]), str(votes.columns[b])],
        "n": int(both.sum()),
        "agreement": float((first == second).mean()) if both.any() else None,
        "kappa": _or_none(cohen_kappa(first, second)),
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
