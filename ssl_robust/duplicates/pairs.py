"""Pairs of samples that are, or may be, the same picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_BLOCK = 4096  # scans compared at once
LARGEST = 0.9999  # similarity of what is no exact copy; atanh is infinite at 1


class Pairs(NamedTuple):
    """P pairs of rows.

    Attributes:
        first: (P,) rows.
        second: (P,) other rows.
        similarity: (P,) in [0, 1], 1 for exact copies alone.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray


def copies(digests: np.ndarray, rows: np.ndarray, files: np.ndarray) -> Pairs:
    """Each row whose digest occurs before in another file, with the one before it.

    Args:
        digests: (N,) the same number for the same content.
        rows: those that count, ascending.
        files: (N,) codes; parts of one file are no copies of each other.
    """
    order = rows[np.argsort(digests[rows], kind="stable")]
    same = (digests[order[1:]] == digests[order[:-1]]) & (files[order[1:]] != files[order[:-1]])
    return Pairs(order[:-1][same], order[1:][same], np.ones(int(same.sum())))


def correlations(fine: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """(N, k) products of each scan's structure with that of its neighbours, at least 0, NaN where there is none.

    Args:
        fine: (N, d) unit vectors.
        indices: (N, k) rows of it, -1 where there is no neighbour.
    """
    found = np.full(indices.shape, np.nan)
    for start in range(0, len(fine), _BLOCK):
        block = slice(start, start + _BLOCK)
        own = fine[block].astype(np.float32)
        for place in range(indices.shape[1]):
            other = fine[indices[block, place]].astype(np.float32)
            found[block, place] = np.einsum("nd,nd->n", own, other)
    return np.where(indices < 0, np.nan, found.clip(0, LARGEST))


class Gaps(NamedTuple):
    """How far the similarities of neighbours stand out, as differences of atanh.

    A difference of atanh near 1 is half the logarithm of the ratio of the distances 1 - similarity.

    Attributes:
        pair: (N, k) above the middle of both samples' neighbours.
        most: (N, k) above that middle of most samples of the set: where a sample has more copies than neighbours were
            looked at, it stands out from the others alone.
    """

    pair: np.ndarray
    most: np.ndarray


def above_usual(similarities: np.ndarray, indices: np.ndarray) -> Gaps:
    """Similarities with the k nearest others -> how far each stands out from what unrelated ones reach.

    Args:
        similarities: (N, k), NaN or -inf where there is no neighbour.
        indices: (N, k) rows, -1 where there is no neighbour.
    """
    known = np.where(indices < 0, 0, similarities).clip(0, LARGEST)
    usual = np.arctanh(np.median(known, axis=1))
    above = np.where(indices < 0, -np.inf, np.arctanh(known))
    return Gaps(above - np.maximum(usual[:, None], usual[indices]), above - np.median(usual))
