"""Who is ahead over many blocks: average ranks, Friedman's test, Nemenyi's critical difference, Wilcoxon with Holm.

Demšar 2006 (Statistical comparisons of classifiers over multiple data sets, JMLR 7). His blocks are independent data
sets; ours are cells of the same set, noise, rate and seed, and those of one set share its patients. So these tests
see more evidence than there is, and stand beside the intervals, which do not, rather than in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Ranking:
    """Arms by their average rank.

    Attributes:
        names: (k,) best first.
        ranks: (k,) average ranks, 1 = always the best, ties shared.
        n_blocks: over which they were averaged.
        friedman_p: that all are alike; NaN for fewer than three arms, to which the test does not apply.
        critical_difference: ranks closer than this are not told apart (Nemenyi).
        against_best: (k,) p values of Wilcoxon's test of each arm and the first, after Holm; NaN for the first.
    """

    names: list[str]
    ranks: np.ndarray
    n_blocks: int
    friedman_p: float
    critical_difference: float
    against_best: np.ndarray


def rank(names: Sequence[str], values: np.ndarray, *, alpha: float) -> Ranking:
    """Measures of k arms in B blocks -> who is ahead.

    Args:
        names: of the arms.
        values: (B, k), higher = better.
        alpha: of the critical difference.

    Raises:
        ValueError: fewer than two arms, no block, or the lengths differ (the message states both).
    """
    if values.ndim != 2 or values.shape[1] != len(names) or values.shape[1] < 2 or not len(values):
        raise ValueError(
            f"{len(names)} names and values of shape {values.shape}: expected (blocks, names), two or more"
        )
    ranks = stats.rankdata(-values, axis=1).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    best = values[:, order[0]]
    p_values = holm(np.array([_wilcoxon(best, values[:, each]) for each in order[1:]]))
    return Ranking(
        [names[int(each)] for each in order],
        ranks[order],
        len(values),
        friedman(values),
        critical_difference(len(names), len(values), alpha=alpha),
        np.concatenate([[np.nan], p_values]),
    )


def friedman(values: np.ndarray) -> float:
    """(B, k) measures -> p value of Friedman's test that no arm is ahead of another.

    1 where all arms are equal in all blocks; NaN for fewer than three arms or two blocks.
    """
    if values.shape[1] < 3 or len(values) < 2:
        return float("nan")
    if (values == values[:, :1]).all():
        return 1.0
    return float(stats.friedmanchisquare(*values.T).pvalue)


def critical_difference(n_arms: int, n_blocks: int, *, alpha: float) -> float:
    """How far apart two average ranks must be: q sqrt(k (k + 1) / (6 B)) (Demšar 2006, section 3.2.2, after Nemenyi).

    q is the quantile of the studentized range of k values with infinite degrees of freedom, over sqrt(2).

    Args:
        n_arms: k.
        n_blocks: B.
        alpha: chance that equal arms are told apart anywhere.
    """
    q = stats.studentized_range.ppf(1 - alpha, n_arms, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_arms * (n_arms + 1) / (6 * n_blocks)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p values -> those that hold for all together (Holm 1979: the smallest times m, the next times m - 1, …)."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    found = np.empty(len(p_values))
    found[order] = np.minimum(stepped, 1.0)
    return found


def groups_alike(ranks: np.ndarray, difference: float) -> list[tuple[int, int]]:
    """First and last place of each run of ascending ranks that are not told apart; runs inside another are left out."""
    last = [int(np.searchsorted(ranks, each + difference, side="right")) - 1 for each in ranks]
    return [(i, end) for i, end in enumerate(last) if end > i and (i == 0 or end > last[i - 1])]


def _wilcoxon(first: np.ndarray, second: np.ndarray) -> float:
    """p value of Wilcoxon's signed-rank test; 1 where no pair differs."""
    differences = first - second
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)  # type: ignore[attr-defined]
