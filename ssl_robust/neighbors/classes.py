"""The most similar sample of the own class and of any other one, wherever it lies."""

from __future__ import annotations

import numpy as np

from ssl_robust.neighbors.exact import search_rows
from ssl_robust.neighbors.unit import UnitRows
from ssl_robust.records import Neighbors


def nearest_by_class(
    unit: UnitRows, labels: np.ndarray, groups: np.ndarray, found: Neighbors
) -> tuple[np.ndarray, np.ndarray]:
    """Similarity to the most similar sample with the same label, and to the most similar one with another.

    The first of each kind among the neighbours that are known already is the one. Who has none of a kind among them is
    compared with all samples of that kind, class by class: exact, N^2 D products at worst, memory of one block.

    Args:
        unit: N vectors.
        labels: (N,) ints from 0.
        groups: (N,) ints from 0; samples of one group do not count for each other.
        found: (N, k) neighbours, those of the own group left out; where they were not searched exactly, neither is
            this.

    Returns:
        Two (N,) float32 arrays of cosine similarities, -inf where there is no such sample.
    """
    there = found.indices >= 0
    alike = labels[found.indices] == labels[:, None]
    same, other = _first(found, there & alike), _first(found, there & ~alike)
    for label in np.unique(labels):
        mine = labels == label
        for similarities, candidates in ((same, mine), (other, ~mine)):
            rows = np.flatnonzero(mine & np.isneginf(similarities))
            if len(rows):
                nearest = search_rows(unit, rows, np.flatnonzero(candidates), groups, 1)
                similarities[rows] = nearest.similarities[:, 0]
    return same, other


def _first(found: Neighbors, chosen: np.ndarray) -> np.ndarray:
    """(N,) similarity of the nearest chosen neighbour, -inf without one."""
    place = chosen.argmax(axis=1)[:, None]
    nearest = np.take_along_axis(found.similarities, place, axis=1)[:, 0]
    return np.where(np.take_along_axis(chosen, place, axis=1)[:, 0], nearest, -np.inf).astype(np.float32)
