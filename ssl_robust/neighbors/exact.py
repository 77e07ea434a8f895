"""Exact nearest neighbours: every query against every candidate."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np

from ssl_robust.neighbors.unit import UnitRows
from ssl_robust.records import Neighbors

_BLOCK = 4096  # queries a call; bounds what is held besides the result
_PIECE = 131_072  # candidates looked at together where they are taken from a memory map: 192 MiB at 384 dimensions
_MOST_EXTRA = 256  # more of the own group than that are not fetched beforehand
_ROW_CELLS = 2**23  # similarities held at once where whole rows are computed: 32 MiB
DECIMALS = 6  # float32 sums differ beyond it with the position in a BLAS block, and duplicates must tie


def search(vectors: np.ndarray, *, k: int, groups: np.ndarray | None = None) -> Neighbors:
    """Vectors -> the k most similar other vectors of each one.

    A sample is told from its duplicates by its row, never by its place among the hits. Similarities are rounded to six
    decimals, so that equal vectors tie wherever they stand. A vector of zeros has similarity 0 to all others.

    Args:
        vectors: (N, D) finite numbers, of any length; cosine similarity ignores it.
        k: neighbours wanted, above zero.
        groups: (N,) ints; samples of one group (one patient) are not neighbours of each other.

    Returns:
        (N, k) neighbours, -1 and -inf where fewer exist.

    Raises:
        ValueError: `vectors` is not two-dimensional or not finite, `k` is not positive, or the lengths differ (the
            message states both).
    """
    unit = UnitRows(vectors)
    groups = group_codes(groups, len(unit))
    everything = unit.take(slice(None))
    return among(everything, everything, groups, groups, k)


def query(
    reference: np.ndarray, vectors: np.ndarray, *, k: int, groups: np.ndarray | None = None,
    own: np.ndarray | None = None, center: bool = False,
) -> Neighbors:  # fmt: skip
    """Other vectors -> the k most similar reference vectors of each outside of its own group, if it has one there.

    Args:
        reference: (M, D) finite numbers.
        vectors: (N, D) finite numbers, none of them meant to be among the reference.
        k: neighbours wanted, above zero.
        groups: (M,) ints from 0, who shares a patient; None: nobody.
        own: (N,) the group of each vector, -1 where it has none; None: none has.
        center: take the mean of the reference off both.

    Returns:
        (N, k) rows of `reference`, -1 and -inf where fewer exist; rounding and ties as in `search`.

    Raises:
        ValueError: as in `search`, or the two have different D (the message states both).
    """
    unit = UnitRows(reference, center=center)
    if unit.dim != np.shape(vectors)[-1]:
        raise ValueError(f"reference has {unit.dim} dimensions and vectors {np.shape(vectors)[-1]}; expected the same")
    queries = UnitRows(vectors, mean=unit.mean).take(slice(None))
    groups = np.arange(len(unit)) if groups is None else groups
    own = np.full(len(queries), -1) if own is None else own
    return _in_pieces(unit, np.arange(len(unit)), queries, groups, own, k)


def group_codes(groups: np.ndarray | None, n: int) -> np.ndarray:
    """(N,) ints from 0 without gaps; every sample its own where `groups` is None.

    Raises:
        ValueError: the lengths differ (the message states both).
    """
    codes = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if codes.shape != (n,):
        raise ValueError(f"there are {n} vectors and groups of shape {codes.shape}; expected one group each")
    return codes


def search_rows(unit: UnitRows, rows: np.ndarray, candidates: np.ndarray, groups: np.ndarray, k: int) -> Neighbors:
    """The exact neighbours of some rows among some candidates, which are taken piece by piece.

    Args:
        unit: N vectors.
        rows: (n,) rows that look for neighbours.
        candidates: (m,) rows in ascending order that may be chosen.
        groups: (N,) ints from 0; a candidate of the own group is left out, so that a row may be its own candidate.
        k: neighbours wanted, above zero.

    Returns:
        (n, k) neighbours as rows of `unit`.
    """
    return _in_pieces(unit, candidates, unit.take(rows), groups, groups[rows], k)


def _in_pieces(
    unit: UnitRows, candidates: np.ndarray, queries: np.ndarray, groups: np.ndarray, own: np.ndarray, k: int
) -> Neighbors:
    """The k best of some rows of `unit` for each query, as in `among`; `groups` are of all rows of `unit`."""
    best = Neighbors(np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf, dtype=np.float32))
    for start in range(0, len(candidates), _PIECE):
        piece = candidates[start : start + _PIECE]
        # Codes without gaps among the piece, so that nothing of the size N is made for it.
        codes, inside = np.unique(groups[piece], return_inverse=True)
        here = np.searchsorted(codes, own)
        here[codes[np.minimum(here, len(codes) - 1)] != own] = -1
        found = among(unit.take(piece), queries, inside, here, k)
        found = Neighbors(np.where(found.indices < 0, -1, piece[found.indices]), found.similarities)
        best = found if len(piece) == len(candidates) else better(best, found, k)
    return best


def among(unit: np.ndarray, queries: np.ndarray, groups: np.ndarray, own: np.ndarray, k: int) -> Neighbors:
    """The k best of `unit` outside each query's own group; the own group holds the query itself, if it is there.

    Args:
        unit: (M, D) rows of length one.
        queries: (N, D) rows of length one.
        groups: (M,) ints from 0.
        own: (N,) group of each query, -1 where it has none.
        k: neighbours wanted.

    Raises:
        ValueError: `k` is not positive.
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1")
    indices = np.full((len(queries), k), -1, dtype=np.int64)
    similarities = np.full((len(queries), k), -np.inf, dtype=np.float32)
    sizes = np.where(own < 0, 0, np.bincount(groups)[own])
    for rows, fetch in _blocks(np.minimum(sizes, _MOST_EXTRA) + k + 1, len(unit)):
        found, hits = faiss.knn(queries[rows], unit, fetch, metric=faiss.METRIC_INNER_PRODUCT)
        found = found.round(DECIMALS)
        floor = found[:, -1].copy()  # whatever was not fetched is at most this similar
        found[groups[hits] == own[rows, None]] = -np.inf
        order = np.lexsort((hits, -found), axis=-1)[:, :k]
        indices[rows, : order.shape[1]] = np.take_along_axis(hits, order, axis=1)
        similarities[rows, : order.shape[1]] = np.take_along_axis(found, order, axis=1)
        if fetch < len(unit):
            # Too many of the own group, or a tie across the cut whose lower rows may be missing.
            unsure = rows[similarities[rows, -1] <= floor]
            _from_whole_rows(unit, queries, groups, own, unsure, indices, similarities)
    indices[np.isneginf(similarities)] = -1
    return Neighbors(indices, similarities)


def better(first: Neighbors, second: Neighbors, k: int) -> Neighbors:
    """The k best of two disjoint sets of neighbours.

    Args:
        first: (n, any) neighbours.
        second: (n, any) others of the same samples.
        k: neighbours wanted.
    """
    indices = np.concatenate([first.indices, second.indices], axis=1)
    similarities = np.concatenate([first.similarities, second.similarities], axis=1)
    order = np.lexsort((indices, -similarities), axis=-1)[:, :k]
    return Neighbors(np.take_along_axis(indices, order, axis=1), np.take_along_axis(similarities, order, axis=1))


def _blocks(fetch: np.ndarray, n: int) -> Iterator[tuple[np.ndarray, int]]:
    """Queries that need about the same number of hits, and that number."""
    order = np.argsort(fetch, kind="stable") if len(fetch) and fetch.min() < fetch.max() else np.arange(len(fetch))
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        yield rows, int(min(n, fetch[rows].max()))


def _from_whole_rows(
    unit: np.ndarray, queries: np.ndarray, groups: np.ndarray, own: np.ndarray, rows: np.ndarray,
    indices: np.ndarray, similarities: np.ndarray,
) -> None:  # fmt: skip
    """Fill in the neighbours of some queries from their similarities to everything."""
    k = min(indices.shape[1], len(unit))
    step = max(1, _ROW_CELLS // len(unit))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        for row, found in zip(block, (queries[block] @ unit.T).round(DECIMALS), strict=True):
            found[groups == own[row]] = -np.inf
            cut = np.partition(found, len(found) - k)[len(found) - k]
            better = np.flatnonzero(found > cut)
            chosen = np.concatenate([better, np.flatnonzero(found == cut)[: k - len(better)]])
            chosen = chosen[np.lexsort((chosen, -found[chosen]))]
            indices[row, :k], similarities[row, :k] = chosen, found[chosen]
