"""Neighbours of the own group: whoever looks for copies must see them, whoever counts votes must not."""

from __future__ import annotations

import numpy as np

from ssl_robust.neighbors.exact import DECIMALS, among, better, search_rows
from ssl_robust.neighbors.unit import UnitRows
from ssl_robust.records import Neighbors

_SMALL = 64  # groups up to this size are compared many at once
_CELLS = 2**22  # numbers held at once then: 16 MiB


def of_everyone(unit: UnitRows, groups: np.ndarray, others: Neighbors, *, k: int) -> Neighbors:
    """The k most similar other samples whatever their group: as a search without groups, at the price of the groups.

    Args:
        unit: N vectors.
        groups: (N,) ints from 0, those that `others` were searched with.
        others: (N, at least k) neighbours outside of the own group.
        k: neighbours wanted.
    """
    nearest = Neighbors(others.indices[:, :k], others.similarities[:, :k])
    best = better(search_own(unit, groups, k=k), nearest, k)
    return Neighbors(np.where(np.isneginf(best.similarities), -1, best.indices), best.similarities)


def search_own(unit: UnitRows, groups: np.ndarray, *, k: int) -> Neighbors:
    """The k most similar other samples of the own group.

    Args:
        unit: N vectors.
        groups: (N,) ints from 0.
        k: neighbours wanted.

    Returns:
        (N, k) neighbours, -1 and -inf where fewer exist; rounding and ties as in `search`.
    """
    found = Neighbors(np.full((len(unit), k), -1), np.full((len(unit), k), -np.inf, dtype=np.float32))
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 1]).tolist():
        rows = order[starts[sizes == size][:, None] + np.arange(size)]  # (groups of this size, size), ascending
        step = max(1, _CELLS // (size * max(size, unit.dim))) if size <= _SMALL else 1
        for start in range(0, len(rows), step):
            _fill(unit, rows[start : start + step], found, k)
    return found


def _fill(unit: UnitRows, rows: np.ndarray, found: Neighbors, k: int) -> None:
    """Neighbours within each line of (n, size) rows."""
    n, size = rows.shape
    vectors = unit.take(rows.ravel()).reshape(n, size, unit.dim)
    if size > _SMALL:
        places = np.arange(size)
        part = among(vectors[0], vectors[0], places, places, k)
        found.indices[rows[0]] = np.where(part.indices < 0, -1, rows[0][part.indices])
        found.similarities[rows[0]] = part.similarities
        return
    similar = (vectors @ vectors.transpose(0, 2, 1)).round(DECIMALS)
    similar[:, np.arange(size), np.arange(size)] = -np.inf
    best = np.argsort(-similar, axis=2, kind="stable")[:, :, : min(k, size - 1)]
    most = best.shape[2]
    found.indices[rows, :most] = rows[np.arange(n)[:, None, None], best]
    found.similarities[rows, :most] = np.take_along_axis(similar, best, axis=2)


def leave_out(found: Neighbors, unit: UnitRows, groups: np.ndarray, *, k: int) -> Neighbors:
    """The k nearest of other groups where the groups have grown since the search, e.g. by copies of a sample.

    Samples that lose so many that fewer than k are left are searched again, against all others.

    Args:
        found: (N, k or a few more) neighbours outside of smaller groups.
        unit: N vectors.
        groups: (N,) ints from 0.
        k: neighbours wanted.
    """
    dropped = (found.indices >= 0) & (groups[found.indices] == groups[:, None])
    kept = (found.indices >= 0) & ~dropped
    order = np.argsort(~kept, axis=1, kind="stable")[:, :k]
    indices = np.take_along_axis(np.where(kept, found.indices, -1), order, axis=1)
    similarities = np.take_along_axis(np.where(kept, found.similarities, -np.inf), order, axis=1)
    # Who had fewer neighbours than were looked for has seen all there are.
    again = np.flatnonzero(dropped.any(axis=1) & (kept.sum(axis=1) < k) & (found.indices[:, -1] >= 0))
    if len(again):
        anew = search_rows(unit, again, np.arange(len(unit)), groups, k)
        indices[again], similarities[again] = anew.indices, anew.similarities
    return Neighbors(indices, similarities.astype(np.float32))
