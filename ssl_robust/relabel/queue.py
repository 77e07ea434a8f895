"""Scores -> the order of asking: the sampler's choice, control scans and repeats mixed in, copies asked once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Showing:
    """Scans in the order in which they are shown.

    Attributes:
        rows: (n,) which.
        shown: (n,) "rank", "control" or "repeat".
    """

    rows: np.ndarray
    shown: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Rules:
    """How a queue is filled.

    Attributes:
        n: showings; with `per_patient`, patients that are opened.
        control: share of these that is drawn at random.
        repeat: share of these that is shown a second time; with `per_patient`, none is.
        class_quota: share of the sampler's choice that is dealt out to the labels' classes alike.
        per_patient: whether all scans of a patient are asked together, and cost one.
        shuffled: whether the sampler's choice is shown in random order, so that its place says nothing of a label.
    """

    n: int
    control: float
    repeat: float
    class_quota: float
    per_patient: bool
    shuffled: bool


def fill_queue(
    scores: np.ndarray, rules: Rules, *, closed: np.ndarray, labels: np.ndarray, patients: np.ndarray,
    clusters: np.ndarray, permutation: np.ndarray, seed: int,
) -> Showing:  # fmt: skip
    """The next round.

    Args:
        scores: (N,) higher = ask sooner, not negative where a scan may be asked.
        rules: how many of what.
        closed: (N,) bool, scans that were queued before.
        labels: (N,) ints, for quotas.
        patients: (N,) ints from 0.
        clusters: (N,) copies of one picture share a number, -1 = none; one of them is asked, in whichever round, and
            others only where the control sample draws them.
        permutation: (N,) rows in the random order of the control sample.
        seed: of the places of control scans and repeats.
    """
    rng = np.random.default_rng(seed)
    n_control, n_repeat = round(rules.control * rules.n), round(rules.repeat * rules.n)
    control = permutation[~closed[permutation]][:n_control]
    shown = closed.copy()
    shown[control] = True
    open_rows = np.flatnonzero(~shown & ~np.isin(clusters, clusters[shown & (clusters >= 0)]))
    ordered = _one_of_a_cluster(_descending(scores, open_rows), clusters)
    if rules.per_patient:
        return _by_patient(scores, rules, ordered, control, patients, rng)
    chosen = _with_quota(ordered, labels, rules.n - len(control) - n_repeat, rules.class_quota)
    if rules.shuffled:
        chosen = rng.permutation(chosen)
    mixed = _mixed(chosen, control, rng)
    repeated = rng.permutation(mixed.rows)[:n_repeat]
    return Showing(np.append(mixed.rows, repeated), np.append(mixed.shown, np.full(len(repeated), "repeat")))


def _descending(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(-scores[rows], kind="stable")]


def _one_of_a_cluster(ordered: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Without scans of whose cluster another comes first."""
    of = clusters[ordered]
    alone = np.where(of < 0, -1 - np.arange(len(of)), of)
    return ordered[np.sort(np.unique(alone, return_index=True)[1])]


def _with_quota(ordered: np.ndarray, labels: np.ndarray, wanted: int, quota: float) -> np.ndarray:
    """The first of all, but of each class at least its part of the quota, as far as it has scans."""
    classes = np.unique(labels)
    least = int(quota * wanted / len(classes))
    place = np.empty(len(ordered), dtype=np.int64)  # within the class
    for code in classes:
        own = np.flatnonzero(labels[ordered] == code)
        place[own] = np.arange(len(own))
    dealt = place < least
    rest = np.flatnonzero(~dealt)[: max(0, wanted - int(dealt.sum()))]
    return ordered[np.sort(np.append(np.flatnonzero(dealt), rest))][:wanted]


def _mixed(chosen: np.ndarray, control: np.ndarray, rng: np.random.Generator) -> Showing:
    """Both in their own order, at random places among each other."""
    n = len(chosen) + len(control)
    is_control = np.zeros(n, dtype=bool)
    is_control[rng.permutation(n)[: len(control)]] = True
    rows = np.empty(n, dtype=np.int64)
    rows[is_control], rows[~is_control] = control, chosen
    return Showing(rows, np.where(is_control, "control", "rank"))


def _by_patient(
    scores: np.ndarray, rules: Rules, ordered: np.ndarray, control: np.ndarray, patients: np.ndarray,
    rng: np.random.Generator,
) -> Showing:  # fmt: skip
    """Patients by the sum of their scans' scores, which is what opening one brings; control scans open theirs."""
    # A scan that was answered, which scores below zero, brings nothing and keeps no others from being asked.
    gain = np.bincount(patients[ordered], np.maximum(scores[ordered], 0), minlength=int(patients.max()) + 1)
    gain[np.bincount(patients[ordered], minlength=len(gain)) == 0] = -1
    gain[patients[control]] = -1
    opened = np.argsort(-gain, kind="stable")[: max(0, rules.n - len(control))]
    opened = opened[gain[opened] >= 0]
    order = _mixed(rng.permutation(opened) if rules.shuffled else opened, patients[control], rng).rows
    order = order[np.sort(np.unique(order, return_index=True)[1])]  # two control scans may be of one patient
    asked = np.sort(np.append(ordered, control))
    members = [_descending(scores, asked[patients[asked] == each]) for each in order]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *members])
    return Showing(rows, np.where(np.isin(rows, control), "control", "rank"))
