"""Who judges whom: samples in folds, patients whole."""

from __future__ import annotations

import numpy as np


def grouped_folds(labels: np.ndarray, groups: np.ndarray, *, n_folds: int, seed: int) -> np.ndarray:
    """Each sample's fold; a group lies in one fold, and every class is spread over the folds as evenly as groups allow.

    Args:
        labels: (N,) ints; a group counts for the rarest class among its labels.
        groups: (N,) ints from 0 without gaps.
        n_folds: wanted; fewer where there are fewer groups.
        seed: of the order in which groups are dealt out.

    Returns:
        (N,) ints from 0.
    """
    n_groups = int(groups.max()) + 1
    rarity = np.bincount(labels)[labels]
    stratum = np.full(n_groups, np.iinfo(np.int64).max)
    np.minimum.at(stratum, groups, rarity * (int(labels.max()) + 1) + labels)
    shuffled = np.random.default_rng(seed).permutation(n_groups)
    dealt = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    fold_of = np.empty(n_groups, dtype=np.int64)
    fold_of[dealt] = np.arange(n_groups) % min(n_folds, n_groups)
    return fold_of[groups]
