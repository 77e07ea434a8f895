"""How wrong are the labels of the scans whose class is surest? An upper bound of the noise that ambiguity cannot raise.

Among the scans that look most like class c, most are of class c, so the share of them that carry another label is the
noise of that class (Patrini et al. 2017, arXiv 1609.03683, section 4.2, takes the one surest scan; we take as many as
make the bound lowest). Where a class cannot be told from others by these features the share is too high, never too low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Anchors:
    """Noise among the surest scans of each class.

    Attributes:
        shares: (K,) share of other labels among them.
        bounds: (K,) upper bounds of these shares.
        labels: (K, K) share of each label among them, a row for each class they look like; rows sum to one.
    """

    shares: np.ndarray
    bounds: np.ndarray
    labels: np.ndarray

    @property
    def rate(self) -> float:
        """The noise that every class is first expected to have: that of the class that can be told best.

        A little above what was seen there, since that class was chosen for its low share: a quarter of the way to its
        bound came closest to known noise, measured on four sets.
        """
        best = int(self.bounds.argmin())
        return float(3 * self.shares[best] + self.bounds[best]) / 4

    @property
    def spread(self) -> float:
        """How far that expectation may be off."""
        best = int(self.bounds.argmin())
        return float(self.bounds[best] - self.shares[best]) / 2


def find_anchors(
    probabilities: np.ndarray, labels: np.ndarray, *, fewest: int, share: float, deviations: float
) -> Anchors:
    """The noise among the scans that look most like each class.

    Args:
        probabilities: (N, K) out of fold, so that a scan's own label has no say in how sure it looks.
        labels: (N,) ints in [0, K), as given.
        fewest: scans that make up the surest of a class, at least.
        share: of a class's scans that make them up, at least.
        deviations: standard deviations of the upper bound (Wilson 1927).
    """
    n_classes = probabilities.shape[1]
    shares, bounds, carried = np.zeros(n_classes), np.ones(n_classes), np.eye(n_classes)
    sizes = np.bincount(labels, minlength=n_classes)
    for code in range(n_classes):
        surest = np.argsort(-probabilities[:, code], kind="stable")[: max(fewest, sizes[code])]
        n = np.arange(1, len(surest) + 1)
        other = np.cumsum(labels[surest] != code)
        bound = _wilson(other / n, n, deviations)
        first = min(len(n), max(fewest, int(share * sizes[code]))) - 1
        lowest = first + int(bound[first:].argmin())
        shares[code], bounds[code] = other[lowest] / n[lowest], bound[lowest]
        carried[code] = np.bincount(labels[surest[: lowest + 1]], minlength=n_classes) / n[lowest]
    return Anchors(shares, bounds, carried)


def _wilson(share: np.ndarray, n: np.ndarray, z: float) -> np.ndarray:
    middle = share + z**2 / (2 * n)
    return (middle + z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
