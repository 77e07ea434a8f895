"""How many cells must be looked into: measured against the exact search, on samples of the data themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssl_robust.neighbors.cells import Cells, n_looked_into
from ssl_robust.neighbors.exact import search_rows
from ssl_robust.neighbors.unit import UnitRows

_NEAREST = 10  # recall is given of that many neighbours, too: the usual measure of an index


@dataclass(frozen=True)
class Calibration:
    """What looking into so many cells costs.

    Attributes:
        n_probed: cells to look into, the own one included.
        recall_at_k: share of the k true neighbours that lie in those cells.
        recall_at_10: the same of the ten nearest, of k where that is less.
        n_queries: samples on which the two shares were measured; others chose `n_probed`.
    """

    n_probed: int
    recall_at_k: float
    recall_at_10: float
    n_queries: int


def calibrate(
    unit: UnitRows, cells: Cells, groups: np.ndarray, *, k: int, recall: float, n_queries: int, seed: int
) -> Calibration:
    """The fewest cells with which the wanted share of the true neighbours is found.

    The search among a set of candidates is exact, so a true neighbour is found if, and only if, its cell is looked
    into; one exact search of some samples gives the recall of every number of cells at once.

    Args:
        unit: N vectors.
        cells: of these vectors.
        groups: (N,) ints from 0.
        k: neighbours wanted.
        recall: share in (0, 1] of the k true neighbours that must be found.
        n_queries: samples to choose with, and as many others to measure with; half of all where there are fewer.
        seed: of the samples.
    """
    n_queries = min(n_queries, len(unit) // 2)
    drawn = np.random.default_rng(seed).permutation(len(unit))[: 2 * n_queries]
    halves = drawn[:n_queries], drawn[n_queries:]  # who chooses must not measure
    chosen, measured = (_ranks(unit, cells, groups, np.sort(half), k) for half in halves)
    shares = np.cumsum(np.bincount(chosen[chosen >= 0], minlength=len(cells))) / max(1, (chosen >= 0).sum())
    n_probed = int(np.searchsorted(shares, recall - 1e-12)) + 1
    n_probed = min(n_probed, len(cells))
    sizes = np.bincount(groups)
    own = cells.cell_of[np.sort(halves[1])]
    reach = {cell: n_looked_into(cells, cell, groups, sizes, k=k, n_probed=n_probed) for cell in np.unique(own)}
    found = measured < np.array([reach[cell] for cell in own])[:, None]
    at_k, at_10 = (_share(found[:, :most], measured[:, :most] >= 0) for most in (k, _NEAREST))
    return Calibration(n_probed, at_k, at_10, len(measured))


def _ranks(unit: UnitRows, cells: Cells, groups: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """(n, k) how many cells are nearer to the own one than the cell of each true neighbour; -1 where there is none."""
    truth = search_rows(unit, rows, np.arange(len(unit)), groups, k).indices
    ranks = np.full(truth.shape, -1)
    rank_of = np.empty(len(cells), dtype=np.int64)
    for i, row in enumerate(rows):
        rank_of[cells.near(int(cells.cell_of[row]))] = np.arange(len(cells))
        there = cells.cell_of[truth[i]]
        # Cells that a sample looks into by itself cost no place in the list of its cell.
        ranks[i] = np.where(truth[i] < 0, -1, np.where(np.isin(there, cells.own[row]), 0, rank_of[there]))
    return ranks


def _share(found: np.ndarray, there: np.ndarray) -> float:
    return float(found[there].mean()) if there.any() else 1.0
