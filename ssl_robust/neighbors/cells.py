"""Approximate nearest neighbours for many vectors: every cell of similar samples looks in the cells around it.

The inverted file of FAISS (Jegou et al. 2011, IEEE TPAMI 33(1), section V) with one difference: all members of a cell
look into the same cells, so that their similarities are one matrix product, exact in float32 and with the rules of the
exact search. Then each sample looks into those of the cells nearest to itself that its cell left out: without it,
samples at the edge of a cell miss half of their neighbours and pass for suspects. Nothing but the cells' centres and
who belongs where is kept besides the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np

from ssl_robust.neighbors.exact import better, search_rows
from ssl_robust.neighbors.unit import UnitRows
from ssl_robust.records import Neighbors
from ssl_robust.run import progress

_ROOM = 4  # candidates of other groups, in multiples of k, that every sample gets however large its own group is


@dataclass(frozen=True)
class Cells:
    """Samples by the centre that they are most similar to.

    Attributes:
        centers: (C, D) float32 of length one.
        own: (N, T) int32, the cells whose centres a sample is most similar to, the one it belongs to first.
        members: (N,) rows, one cell after the other, ascending in each.
        bounds: (C + 1,) where each cell's members begin and end.
        n_trained: samples that the centres were fitted to.
    """

    centers: np.ndarray
    own: np.ndarray
    members: np.ndarray
    bounds: np.ndarray
    n_trained: int

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def cell_of(self) -> np.ndarray:
        """(N,) the cell of each sample."""
        return self.own[:, 0]

    def near(self, cell: int) -> np.ndarray:
        """(C,) all cells, the most similar centre first, the cell itself before all; ties to the lower cell."""
        similar = self.centers @ self.centers[cell]
        similar[cell] = np.inf
        return np.argsort(-similar, kind="stable")

    def rows(self, cells: np.ndarray) -> np.ndarray:
        """The members of some cells, ascending."""
        return np.sort(np.concatenate([self.members[self.bounds[cell] : self.bounds[cell + 1]] for cell in cells]))


def make_cells(
    unit: UnitRows, *, n_cells: int, n_own: int, trained_per_cell: int, n_iterations: int, seed: int
) -> Cells:
    """Spherical k-means on a sample, then every vector to its most similar centre.

    Args:
        unit: N vectors.
        n_cells: C, at most N.
        n_own: T, cells that each sample looks into by itself, C where that is less.
        trained_per_cell: samples per cell that the centres are fitted to.
        n_iterations: of k-means.
        seed: of the sample and of k-means; same seed, same cells.
    """
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(len(unit), min(len(unit), n_cells * trained_per_cell), replace=False))
    kmeans = faiss.Kmeans(
        unit.dim, n_cells, niter=n_iterations, seed=int(rng.integers(2**31)), spherical=True,
        min_points_per_centroid=1, max_points_per_centroid=trained_per_cell + 1,
    )  # fmt: skip
    kmeans.train(unit.take(sample))
    centers = np.asarray(kmeans.centroids)
    own = np.empty((len(unit), min(n_own, n_cells)), dtype=np.int32)
    for block in unit.blocks():
        own[block] = faiss.knn(unit.take(block), centers, own.shape[1], metric=faiss.METRIC_INNER_PRODUCT)[1]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(own[:, 0], minlength=n_cells))])
    return Cells(centers, own, np.argsort(own[:, 0], kind="stable"), bounds, len(sample))


def search_cells(unit: UnitRows, cells: Cells, groups: np.ndarray, *, k: int, n_probed: int) -> Neighbors:
    """The k most similar samples of other groups in the cells nearest to the own one and to the sample itself.

    Args:
        unit: N vectors.
        cells: of these vectors.
        groups: (N,) ints from 0.
        k: neighbours wanted, above zero.
        n_probed: cells that each cell looks into, itself included; more where a large group fills them.

    Returns:
        (N, k) neighbours, -1 and -inf where fewer exist.
    """
    sizes = np.bincount(groups)
    found = Neighbors(np.full((len(unit), k), -1), np.full((len(unit), k), -np.inf, dtype=np.float32))
    looked = np.zeros((len(cells), len(cells)), dtype=bool)  # C x C is of the size N
    filled = np.flatnonzero(np.diff(cells.bounds))
    for cell in progress(filled.tolist(), total=len(filled), what="cells searched"):
        rows = cells.rows(np.array([cell]))
        n_cells = n_looked_into(cells, cell, groups, sizes, k=k, n_probed=n_probed)
        near = cells.near(cell)[:n_cells]
        looked[cell, near] = True
        part = search_rows(unit, rows, cells.rows(near), groups, k)
        found.indices[rows], found.similarities[rows] = part.indices, part.similarities
    _look_into_own(unit, cells, groups, looked, found)
    return found


def _look_into_own(unit: UnitRows, cells: Cells, groups: np.ndarray, looked: np.ndarray, found: Neighbors) -> None:
    """Add what samples find in the cells nearest to themselves that their cell did not look into."""
    k = found.indices.shape[1]
    rows, place = np.nonzero(~looked[cells.cell_of[:, None], cells.own])
    missing = cells.own[rows, place]
    order = np.argsort(missing, kind="stable")
    bounds = np.searchsorted(missing[order], np.arange(len(cells) + 1))
    for cell in range(len(cells)):
        mine = rows[order[bounds[cell] : bounds[cell + 1]]]
        candidates = cells.rows(np.array([cell]))
        if len(mine) and len(candidates):
            part = search_rows(unit, mine, candidates, groups, k)
            closer = part.similarities[:, 0] >= found.similarities[mine, -1]  # a tie may go to a lower row
            mine, part = mine[closer], Neighbors(part.indices[closer], part.similarities[closer])
            best = better(Neighbors(found.indices[mine], found.similarities[mine]), part, k)
            found.indices[mine], found.similarities[mine] = best.indices, best.similarities


def n_looked_into(cells: Cells, cell: int, groups: np.ndarray, sizes: np.ndarray, *, k: int, n_probed: int) -> int:
    """`n_probed`, or as many cells more as it takes until each member of a cell sees enough of other groups.

    Args:
        cells: of N vectors.
        cell: whose members look for neighbours.
        groups: (N,) ints from 0.
        sizes: members of each group.
        k: neighbours wanted.
        n_probed: cells that are always looked into.
    """
    near = cells.near(cell)
    own = np.unique(groups[cells.rows(near[:1])])
    wanted = np.minimum(_ROOM * k, len(groups) - sizes[own])
    while n_probed < len(cells):
        rows = cells.rows(near[:n_probed])
        present, n = np.unique(groups[rows], return_counts=True)
        if (len(rows) - n[np.searchsorted(present, own)] >= wanted).all():
            break
        n_probed *= 2
    return min(n_probed, len(cells))
