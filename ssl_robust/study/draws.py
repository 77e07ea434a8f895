"""Balanced accuracy of every cell in many draws of patients and seeds, from which every interval of a study is read.

Two things are left to chance: which patients are in the test split, and what a seed decides (labels made wrong,
weights, batches). All cells of a set are measured on the same patients, so patients and seeds are crossed, and both
are drawn, each for itself (Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1: the variance comes
out right or a little too large).

Patients are drawn with replacement. Of three to five seeds that would give intervals far too narrow, as three values
spread less than what they come from; so the seeds' share is drawn as mean + sum_s g_s (x_s - mean) / n with normal
g_s (the multiplier bootstrap, van der Vaart and Wellner 1996, section 3.6), widened by the factor that makes it
Student's interval: sqrt(n / (n - 1)) and the ratio of the quantiles of t with n - 1 degrees of freedom and of the
normal distribution. All cells of one draw share its patients and its g_s, so differences between them are paired.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ssl_robust.metrics import Interval, percentile_interval
from ssl_robust.study.measured import ARM, Measured
from ssl_robust.transfer.resampling import resampled_counts

_NOTHING = 1e-9  # of an accuracy, of which there is no share


class Arm(NamedTuple):
    """What a cell is besides its seed."""

    set: str
    init: str
    strategy: str
    noise: str
    rate: float


def balanced_accuracies(hits: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Hits of C cells, and how often each scan counts in R draws -> (C, R) mean recall of the classes that are drawn.

    Args:
        hits: (C, N) in [0, 1].
        labels: (N,) codes of the true labels.
        counts: (R, N) at least one scan counts in every draw.
    """
    total, present = np.zeros((len(hits), len(counts))), np.zeros(len(counts))
    for code in np.unique(labels):
        mine = labels == code
        n = counts[:, mine].sum(axis=1)
        total += hits[:, mine] @ counts[:, mine].T / np.maximum(n, 1)
        present += n > 0
    return total / present


def over_seeds(values: np.ndarray, shocks: np.ndarray, level: float) -> np.ndarray:
    """The measure of each seed in each draw -> (D,) its mean over the seeds, in which the seeds are drawn, too.

    Args:
        values: (S, D), first what was measured, then the draws of patients.
        shocks: (S, D) standard normal numbers, 0 in the first column.
        level: coverage of the interval that will be read from it.
    """
    n, mean = len(values), values.mean(axis=0)
    if n == 1:
        return mean
    return mean + _widening(n, level) * (shocks * (values - mean)).sum(axis=0) / n


@functools.cache
def _widening(n: int, level: float) -> float:
    tail = (1 + level) / 2
    return float(np.sqrt(n / (n - 1)) * stats.t.ppf(tail, n - 1) / stats.norm.ppf(tail))


class Draws:
    """One measure of all cells, as it was measured and in R draws; every method returns (1 + R,), that one first.

    Args:
        cells: of `Measured`.
        values: (C, 1 + R) of the cells in their order.
        level: coverage of intervals.
        seed: of the draws of seeds.
    """

    def __init__(self, cells: pd.DataFrame, values: np.ndarray, *, level: float, seed: int) -> None:
        self.level = level
        self._values = values
        self._rows = {
            Arm(*key): dict(zip(of_arm["seed"], of_arm.index, strict=True))  # type: ignore[misc]
            for key, of_arm in cells.groupby(ARM, sort=False)
        }
        rng = np.random.default_rng(seed)
        self._shocks = {each: rng.standard_normal(values.shape[1]) for each in sorted(cells["seed"].unique())}
        for shock in self._shocks.values():
            shock[0] = 0.0

    @property
    def arms(self) -> list[Arm]:
        """All arms with a finished cell."""
        return list(self._rows)

    def seeds(self, *arms: Arm) -> list[int]:
        """Seeds that all of these arms have."""
        return sorted(set.intersection(*(set(self._rows.get(arm, ())) for arm in arms)))

    def mean(self, arm: Arm, seeds: Sequence[int] | None = None) -> np.ndarray:
        """Mean over the seeds of an arm, or over some of them."""
        seeds = self.seeds(arm) if seeds is None else seeds
        return self._over(self._of(arm, seeds), seeds)

    def difference(self, arm: Arm, other: Arm) -> np.ndarray:
        """Mean over the seeds that both have of the first minus the second."""
        seeds = self.seeds(arm, other)
        return self.mean(arm, seeds) - self.mean(other, seeds)

    def share(self, arm: Arm, other: Arm) -> np.ndarray:
        """Mean over the seeds that both have of the first, as a share of that of the second.

        The seeds' part is that of the share's tangent (the delta method): a few seeds spread so far that a drawn
        denominator may come near 0, and the share near anything.
        """
        seeds = self.seeds(arm, other)
        part, whole = self._of(arm, seeds), self._of(other, seeds)
        mean = np.maximum(whole.mean(axis=0), _NOTHING)
        share = part.mean(axis=0) / mean
        return self._over(share + (part - share * whole) / mean, seeds)

    def _of(self, arm: Arm, seeds: Sequence[int]) -> np.ndarray:
        return self._values[[self._rows[arm][each] for each in seeds]]

    def _over(self, values: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        return over_seeds(values, np.stack([self._shocks[each] for each in seeds]), self.level)

    def interval(self, draws: np.ndarray) -> Interval:
        """What was measured and the percentile interval around it."""
        return percentile_interval(float(draws[0]), draws[1:], self.level)

    def accuracy(self, arm: Arm) -> Interval:
        """An arm's mean over its seeds; the interval ends where accuracies end."""
        found = self.interval(self.mean(arm))
        return Interval(found.estimate, max(found.low, 0.0), min(found.high, 1.0))

    def measured(self, arm: Arm) -> dict[int, float]:
        """The measure by seed, nothing drawn."""
        return {seed: float(self._values[row, 0]) for seed, row in self._rows[arm].items()}


def draw_cells(measured: Measured) -> tuple[Draws, Draws]:
    """Balanced accuracy of all cells: BEST, and LAST.

    Where a cell did not record which scans its last epochs got right, the patients of its LAST are not drawn: its
    interval holds the seeds alone.
    """
    settings, cells = measured.settings, measured.cells
    shape = len(cells), 1 + settings["n_resamples"]
    best, last = np.empty(shape), np.empty(shape)
    for place, (name, rows) in enumerate(measured.tests.items()):
        mine = np.flatnonzero(cells["set"] == name)
        # Other patients in each set: the sets are independent of one another.
        blocks = resampled_counts(rows.groups, n_resamples=shape[1] - 1, seed=settings["seed"] + place)
        counts = np.concatenate(list(blocks))
        if len(np.unique(rows.groups)) < 2:
            counts[1:] = np.nan  # one patient says nothing about others
        hits_best, hits_last = measured.hits(name)
        best[mine] = balanced_accuracies(hits_best, rows.labels, counts)
        last[mine] = balanced_accuracies(hits_last, rows.labels, counts)
        untold = mine[np.isnan(last[mine, 0])]
        last[untold] = cells["last_balanced_accuracy"].to_numpy()[untold, None]
    values = {"level": settings["level"], "seed": settings["seed"]}
    return Draws(cells, best, **values), Draws(cells, last, **values)
