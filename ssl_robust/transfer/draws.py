"""Few labels out of many: whole patients, classes in proportion, no class left out."""

from __future__ import annotations

import numpy as np


def draw_few(labels: np.ndarray, groups: np.ndarray, share: float, *, seed: int, draw: int) -> np.ndarray:
    """Rows of about `share` of every class, drawn by whole patients.

    A labelled patient brings all of their scans: a few scans of every patient would show most patients to a
    classifier that is said to know few. Patients come in random order and are taken where more than half of their scans
    are wanted. A class that is still without a scan then gets the first patient who has it, so that the rows may be
    more than were asked for.

    Args:
        labels: (N,) ints from 0, all known.
        groups: (N,) patient codes.
        share: in (0, 1]; of n scans of a class `max(1, round(share * n))` are wanted.
        seed: of the run.
        draw: number of the draw; another one gives other patients.

    Returns:
        (n,) rows in ascending order.
    """
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    n = np.bincount(labels)
    lacking = np.where(n > 0, np.maximum(1, np.round(share * n)), 0).astype(np.int64)
    missing = n > 0
    patients = np.random.default_rng([seed, draw]).permutation(len(members))
    taken: list[np.ndarray] = []
    for only_missing in (False, True):
        for patient in patients:
            if not (missing if only_missing else lacking > 0).any():
                break
            rows = members[patient]
            brings = np.bincount(labels[rows], minlength=len(n))
            wanted = np.minimum(brings, np.maximum(lacking, 0)).sum()
            if brings[missing].any() if only_missing else 2 * wanted > len(rows):
                taken.append(rows)
                lacking -= brings
                missing &= brings == 0
    return np.sort(np.concatenate(taken))


def scarce(labels: np.ndarray, share: float) -> np.ndarray:
    """Classes of which `share` is less than one scan, so that one is wanted nevertheless."""
    n = np.bincount(labels)
    return np.flatnonzero((n > 0) & (share * n < 1))
