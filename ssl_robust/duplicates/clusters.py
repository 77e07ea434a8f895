"""Pairs -> clusters of samples that show the same picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ssl_robust.duplicates.pairs import Pairs


@dataclass(frozen=True)
class Clusters:
    """Samples joined by pairs, clusters numbered by their first rows.

    Attributes:
        of: (N,) number of each sample's cluster from 0, -1 for a sample that has none.
        nearest: (N,) highest similarity of the pairs of each sample, 0 for a sample that has none.
        lowest: (n,) lowest similarity of the pairs that join each cluster; 1 for copies.
    """

    of: np.ndarray
    nearest: np.ndarray
    lowest: np.ndarray

    def __len__(self) -> int:
        return len(self.lowest)

    def members(self) -> list[np.ndarray]:
        """The rows of each cluster, ascending."""
        order = np.argsort(self.of, kind="stable")[int((self.of < 0).sum()) :]
        return np.split(order, np.flatnonzero(np.diff(self.of[order])) + 1) if len(self) else []

    def differ(self, codes: np.ndarray) -> np.ndarray:
        """(n,) bool, whether members of a cluster have different codes.

        Args:
            codes: (N,) ints, -1 where unknown: that is no difference.
        """
        known = (self.of >= 0) & (codes >= 0)
        smallest, largest = np.full(len(self), np.iinfo(np.int64).max), np.full(len(self), -1)
        np.minimum.at(smallest, self.of[known], codes[known])
        np.maximum.at(largest, self.of[known], codes[known])
        return largest > smallest


def join(pairs: Pairs, n: int) -> Clusters:
    """Samples that are joined by pairs, by one or by a chain of them.

    Args:
        pairs: of N rows.
        n: N.
    """
    edges = coo_array((np.ones(len(pairs.first)), (pairs.first, pairs.second)), shape=(n, n))
    part = connected_components(edges, directed=False)[1]
    joined = np.flatnonzero(np.bincount(part, minlength=n)[part] > 1)
    of = np.full(n, -1)
    _, first, codes = np.unique(part[joined], return_index=True, return_inverse=True)
    of[joined] = np.argsort(np.argsort(first, kind="stable"), kind="stable")[codes]
    nearest, lowest = np.zeros(n), np.ones(len(first))
    for rows in (pairs.first, pairs.second):
        np.maximum.at(nearest, rows, pairs.similarity)
    np.minimum.at(lowest, of[pairs.first], pairs.similarity)
    return Clusters(of, nearest, lowest)
