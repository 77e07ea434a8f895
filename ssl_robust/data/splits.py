"""Train, validation and test: patient-disjoint, stratified, and the same whatever the order of the files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ssl_robust.run import UserError

SPLITS = ("train", "val", "test")
_MANY = 2000  # patients; beyond, the greedy search for groups takes minutes, and chance balances their sizes well
_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
          "test": "test", "testing": "test"}  # fmt: skip


def split_name(text: str) -> str | None:
    """`train`, `val` or `test` for the usual spellings (`Training`, `valid`, …), else None."""
    return _NAMES.get(text.strip().lower())


def named_splits(values: Sequence[Any], where: str) -> list[str]:
    """Given splits under their three names.

    Raises:
        UserError: a value is no split, or some rows have none.
    """
    names = []
    for row, value in enumerate(values):
        name = None if pd.isna(value) else split_name(value)
        if name is None:
            found = "has no split" if pd.isna(value) else f"has the split {value!r}"
            raise UserError(f"{where}: row {row + 1} {found}; expected train, val or test in every row (or in none)")
        names.append(name)
    return names


def check_disjoint(splits: Sequence[str], groups: np.ndarray, *, leaks: str, where: str) -> None:
    """A patient on both sides of a split makes a test look better than it is.

    Args:
        splits: (N,) names.
        groups: (N,) patient codes.
        leaks: "refuse", or "allow" to say it only.
        where: what to call the data in messages.

    Raises:
        UserError: patients with scans in several splits, or another value of `leaks`.
    """
    if leaks not in ("refuse", "allow"):
        raise UserError(f"data.split_leaks={leaks} is not known; expected refuse or allow")
    pairs = np.unique(np.stack([groups, pd.factorize(np.asarray(splits, dtype=object))[0]]), axis=1)
    n, n_patients = int((np.bincount(pairs[0]) > 1).sum()), len(np.unique(groups))
    if n and leaks == "allow":
        print(f"Note: {n} of {n_patients} patients have scans in more than one split", flush=True)
    elif n:
        raise UserError(
            f"{where}: {n} of {n_patients} patients have scans in more than one split, so that a test would flatter; "
            "give each patient one split, drop the column split to have it made here, or drop the patients if they "
            "are none (data.split_leaks=allow goes on as it is)"
        )


def assign_splits(
    ids: Sequence[str], labels: np.ndarray, groups: np.ndarray, *, fractions: Mapping[str, float], seed: int
) -> np.ndarray:
    """A split for each scan; all scans of a patient share one.

    Scans are put in the order of their ids first, so that the answer depends on the set alone. Patients without any
    label, and the only patient of a class, go to train: they could not be scored, or not be learned. Without any
    label all is train. A share smaller than a patient gets one patient.

    Args:
        ids: (N,) unique ids.
        labels: (N,) int codes, -1 = none.
        groups: (N,) patient codes.
        fractions: shares of all scans, `{"val": 0.1, "test": 0.2}`.
        seed: another seed gives another split.

    Returns:
        (N,) array of "train", "val", "test".

    Raises:
        UserError: the shares are negative or leave nothing for train.
    """
    val, test = float(fractions["val"]), float(fractions["test"])
    if min(val, test) < 0 or val + test >= 1:
        raise UserError(f"data.fractions val={val:g} and test={test:g} leave nothing for train; their sum must be < 1")
    order = np.argsort(np.asarray(ids, dtype=str), kind="stable")
    labels = np.asarray(labels)[order]
    groups = pd.factorize(np.asarray(groups)[order])[0]
    splits = np.full(len(order), "train", dtype="<U5")
    held = _held_out_candidates(labels, groups)
    for name, share in (("test", test), ("val", val / (1 - test))):
        rows = np.flatnonzero(held & (splits == "train"))
        splits[rows[_draw(labels[rows], groups[rows], share, seed)]] = name
    _return_to_train(splits, labels, groups)
    answer = np.empty_like(splits)
    answer[order] = splits
    return answer


def _held_out_candidates(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(N,) bool: the patient has a label, and is not the only one of a class."""
    labelled = labels >= 0
    pairs = np.unique(np.stack([labels[labelled], groups[labelled]]), axis=1)  # (2, n): class, patient
    classes, n_patients = np.unique(pairs[0], return_counts=True)
    only = np.isin(pairs[0], classes[n_patients < 2])
    return np.isin(groups, np.setdiff1d(pairs[1], pairs[1][only]))


def _draw(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(n,) bool: about `share` of the rows, whole patients, classes in proportion where there are enough patients."""
    patients, sizes = np.unique(groups, return_counts=True)
    if share <= 0 or len(patients) < 2:
        return np.zeros(len(labels), dtype=bool)
    by_patient = len(patients) > _MANY or sizes.max() == 1
    dealt = _main_labels(labels, groups) if by_patient else labels
    if _n_folds(share) > min(len(patients), np.unique(dealt, return_counts=True)[1].max()):
        return np.isin(groups, patients[_patients_taken(sizes, share, seed)])
    if by_patient:
        return np.isin(groups, patients[_folds_taken(StratifiedKFold, dealt, None, share, seed)])
    return _folds_taken(StratifiedGroupKFold, labels, groups, share, seed)


def _n_folds(share: float) -> int:
    """In how many equal parts the rows are dealt out, some of which make up the share."""
    rest = min(share, 1 - share)
    return Fraction(share).limit_denominator(20).denominator if rest >= 1 / 20 else round(1 / rest)


def _patients_taken(sizes: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(P,) bool: patients in random order that bring the rows nearest to the share; at least one, and not all."""
    chosen = np.zeros(len(sizes), dtype=bool)
    target = share * sizes.sum()
    for patient in np.random.default_rng(seed).permutation(len(sizes)):
        if chosen.sum() < len(sizes) - 1 and sizes[patient] < 2 * (target - sizes[chosen].sum()):
            chosen[patient] = True
    if not chosen.any():
        chosen[sizes.argmin()] = True
    return chosen


def _folds_taken(
    splitter: type[StratifiedKFold] | type[StratifiedGroupKFold],
    labels: np.ndarray,
    groups: np.ndarray | None,
    share: float,
    seed: int,
) -> np.ndarray:
    """(n,) bool: whether the row is in one of the first folds, as many as make up the share."""
    chosen = np.zeros(len(labels), dtype=bool)
    n_folds = _n_folds(share)
    folds = splitter(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for _, fold in islice(folds.split(labels, labels, groups), min(max(1, round(share * n_folds)), n_folds - 1)):
            chosen[fold] = True
    return chosen


def _main_labels(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The most frequent label of each patient, patients in ascending order."""
    pairs, counts = np.unique(np.stack([groups, labels], axis=1), axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 1], counts, pairs[:, 0]))
    last = np.flatnonzero(np.diff(pairs[order, 0], append=-1))  # a patient's most frequent label comes last
    return pairs[order[last], 1]


def _return_to_train(splits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> None:
    """Give train a patient of every class that it lacks (classes of two or three patients)."""
    for label in np.setdiff1d(labels[labels >= 0], labels[splits == "train"]):
        rows = np.flatnonzero(labels == label)
        of_val = rows[splits[rows] == "val"]
        splits[groups == groups[(of_val if len(of_val) else rows)[0]]] = "train"
