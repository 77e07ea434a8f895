"""How many wrong labels may be left, by a random control sample: whatever the sampler does, whenever one stops.

All labelled scans stand in a random order that is fixed at the start. Each round draws its control scans from it: the
next ones that were not queued before. So a draw is wrong with probability p = (wrong labels not queued before) / (scans
not queued before), whatever was queued and why: of these numbers only the total e of wrong labels is unknown. For a
supposed total, the product over draws of q(X) / p(X), with chances q = c p of an error, is a martingale that starts at
one and exceeds 1 / alpha with probability at most alpha, at any time (Ville's inequality; Waudby-Smith & Ramdas 2024,
arXiv 2010.09686, section 4; drawing without replacement: arXiv 2006.04347). Totals for which the mean of these products
over some c < 1 gets that large are given up; the largest that is left is the bound.

Nothing is assumed of the errors: the draws are random, the labels need not be. Errors of whole patients, a sampler that
learns from control answers, and a campaign that is stopped because of the bound are all allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import beta

_SHARES = np.linspace(0, 0.95, 20)  # c: errors are so many times as frequent as supposed
TELLING = 20  # scans drawn at random; what fewer say of a rate is no line to compare with
_NEXT = 100  # scans that the sentence speaks of


@dataclass(frozen=True)
class Draws:
    """The control scans of one round, in the order of drawing, up to the first that has no answer.

    Attributes:
        wrong: (m,) bool, whether the answer was another class than the label.
        n_open: labelled scans that were in no queue before this round.
        n_before: wrong labels among those that were; where some have no answer yet, these are counted as wrong.
        n_unsure: of the draws, those of which nobody was sure: they are not counted as wrong.
    """

    wrong: np.ndarray
    n_open: int
    n_before: int
    n_unsure: int = 0


@dataclass(frozen=True)
class Remaining:
    """What is left.

    Attributes:
        n: labelled scans without an answer.
        most: wrong labels among them, at most, with the confidence `level`.
        level: coverage.
        n_control: draws behind it.
        n_unsure: draws of which nobody was sure, so that they count as right.
        rate: share of all labels that was wrong at the start, with the bounds `low` and `high` of its interval; NaN
            without a control answer. As good as unbiased: it stops at the first scan without an answer, and which one
            that is hangs a little on what the sampler chose.
        low: see `rate`.
        high: see `rate`.
        n_next: scans that are queued and come next, at most a hundred.
        next_finds: errors expected in these by the sampler's order; NaN: no probabilities are known.
    """

    n: int
    most: int
    level: float
    n_control: int
    n_unsure: int
    rate: float
    low: float
    high: float
    n_next: int
    next_finds: float

    @property
    def share(self) -> float:
        """`most` as a share of what is left."""
        return self.most / self.n if self.n else 0.0

    def sentence(self) -> str:
        """What a reader decides by."""
        if not self.n:
            return "every label has been read"
        left = f"with {self.level:.0%} confidence at most {self.share:.1%} of the remaining {self.n:,} labels are wrong"
        if self.n_control < TELLING:
            left = (
                f"too few of the scans drawn at random are read ({self.n_control:,}) to say how many of the remaining "
                f"{self.n:,} labels are wrong at most; a hundred that are right bound 3%"
            )
        if self.n_unsure:
            left += (
                f" ({self.n_unsure:,} of {self.n_control:,} control scans, of which nobody was sure, count as right)"
            )
        if np.isnan(self.next_finds):
            return left
        return f"{left}; reading {self.n_next} more would find about {self.next_finds:.0f}"


def remaining(
    rounds: Sequence[Draws], beginning: np.ndarray, *, n: int, n_answered: int, n_found: int,
    p_wrong: np.ndarray | None, level: float,
) -> Remaining:  # fmt: skip
    """Answers so far -> a bound of the wrong labels that are left.

    Args:
        rounds: control draws of each round.
        beginning: (m,) bool, whether the labels of the first m scans of the random order were wrong; all have answers.
        n: labelled scans.
        n_answered: of which so many have an answer.
        n_found: of which so many had another label.
        p_wrong: probabilities that the labels without an answer are wrong, in the sampler's order, as far as
            they are queued; None: unknown.
        level: coverage of bound and interval, e.g. 0.9.
    """
    total = most_wrong(rounds, n=n, n_answered=n_answered, n_found=n_found, level=level)
    low, high = interval(int(beginning.sum()), len(beginning), level=level)
    rate = float(beginning.mean()) if len(beginning) else np.nan
    coming = np.empty(0) if p_wrong is None else p_wrong[:_NEXT]
    n_control, n_unsure = sum(len(each.wrong) for each in rounds), sum(each.n_unsure for each in rounds)
    return Remaining(
        n - n_answered, total - n_found, level, n_control, n_unsure, rate, low, high, len(coming),
        float(coming.sum()) if len(coming) else np.nan,
    )  # fmt: skip


def most_wrong(rounds: Sequence[Draws], *, n: int, n_answered: int, n_found: int, level: float) -> int:
    """The largest total of wrong labels, found ones included, that the control draws have not refuted.

    Args:
        rounds: as in `remaining`, as are the others.
        n: labelled scans.
        n_answered: scans with an answer.
        n_found: wrong labels among these.
        level: coverage.
    """
    low, high = n_found, n_found + n - n_answered  # the evidence against a total grows with it
    while low < high:
        middle = (low + high + 1) // 2
        if evidence_against(rounds, middle) < np.log(1 / (1 - level)):
            low = middle
        else:
            high = middle - 1
    return low


def evidence_against(rounds: Sequence[Draws], total: int) -> float:
    """Logarithm of the martingale for a supposed total of wrong labels: large if there are fewer.

    Args:
        rounds: as in `remaining`.
        total: supposed.
    """
    logs = np.zeros(len(_SHARES))
    for each in rounds:
        drawn = np.arange(len(each.wrong))
        earlier = np.cumsum(each.wrong) - each.wrong
        p = np.clip((total - each.n_before - earlier) / (each.n_open - drawn), 0.0, 1.0)
        if (p[~each.wrong] == 1).any():
            return np.inf  # all that were left would have to be wrong
        with np.errstate(divide="ignore"):  # an error is no evidence for c = 0
            right = np.log1p(-_SHARES[:, None] * p[~each.wrong]) - np.log1p(-p[~each.wrong])
            logs += right.sum(axis=1) + (each.wrong.sum() * np.log(_SHARES) if each.wrong.any() else 0)
    return float(logsumexp(logs) - np.log(len(_SHARES)))


def interval(n_wrong: int, n: int, *, level: float) -> tuple[float, float]:
    """The share of wrong labels behind `n_wrong` of `n` drawn at random (Clopper & Pearson 1934); NaN of none.

    Args:
        n_wrong: wrong ones.
        n: drawn.
        level: coverage.
    """
    if n == 0:
        return np.nan, np.nan
    tail = (1 - level) / 2
    low = 0.0 if n_wrong == 0 else float(beta.ppf(tail, n_wrong, n - n_wrong + 1))
    high = 1.0 if n_wrong == n else float(beta.ppf(1 - tail, n_wrong + 1, n - n_wrong))
    return low, high
