"""Votes that weigh what the voter's own neighbours say of its label."""

from __future__ import annotations

import numpy as np

from ssl_robust.audit.evidence import Evidence
from ssl_robust.audit.scores.knn import possible_voters
from ssl_robust.records import Neighbors

_BLOCK = 16_384  # samples looked at together; bounds what is held besides the result


def reliability(evidence: Evidence, *, k_min: int, k_max: int) -> np.ndarray:
    """1 - the share of the neighbours' votes for the given label, a vote weighing the voter's reliability.

    Di Salvo et al. 2025 (WANN), arXiv 2408.14358: the reliability of a sample is 1 / k_T of `smallest_k`, so that a
    voter which is itself mislabelled hardly counts. There it serves to classify new samples; the share of the given
    label is our use of it. As in `vote_shares` that share is of as many nearest voters as carry the label at all, so
    that a class with fewer members than voters is not wrong by arithmetic.

    Args:
        evidence: its neighbours vote, all of them.
        k_min: as in `smallest_k`.
        k_max: as in `smallest_k`.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; 0 for a sample without neighbours.
    """
    labels, found = evidence.labels, evidence.neighbors
    trust = 1 / smallest_k(found, labels, n_classes=evidence.n_classes, k_min=k_min, k_max=k_max)
    voters = np.clip(possible_voters(labels, evidence.groups), 1, found.indices.shape[1])
    places = np.arange(found.indices.shape[1])
    scores = np.empty(len(labels))
    for start in range(0, len(labels), _BLOCK):
        block = slice(start, start + _BLOCK)
        indices = found.indices[block]
        counts = (indices >= 0) & (places < voters[block, None])
        weights = np.where(counts, trust[indices], 0)
        against = np.where(labels[indices] == labels[block, None], 0, weights).sum(axis=1)
        scores[block] = against / np.maximum(weights.sum(axis=1), np.finfo(float).tiny)
    return scores.round(6)  # sums differ beyond it with the order of equal neighbours


def smallest_k(neighbors: Neighbors, labels: np.ndarray, *, n_classes: int, k_min: int, k_max: int) -> np.ndarray:
    """The smallest odd number of neighbours among which no class has more votes than the given one.

    As in arXiv 2408.14358, but a tie counts for the label there is, where the authors' goes to the lower class:
    names of classes must not matter.

    Args:
        neighbors: (N, k) of the samples among themselves.
        labels: (N,) ints in [0, n_classes).
        n_classes: K.
        k_min: first number that is tried; all neighbours there are, where they are fewer.
        k_max: what a sample gets whose label never has most votes.

    Returns:
        (N,) ints in [1, k_max].
    """
    width = neighbors.indices.shape[1]
    first = min(k_min, width)
    chosen = np.full(len(labels), k_max)
    for start in range(0, len(labels), _BLOCK):
        indices, own = neighbors.indices[start : start + _BLOCK], labels[start : start + _BLOCK]
        rows, open_ = np.arange(len(own)), np.ones(len(own), dtype=bool)
        votes = np.zeros((len(own), n_classes), dtype=np.int32)
        for k in range(1, min(width, k_max - 1) + 1):
            votes[rows, labels[indices[:, k - 1]]] += indices[:, k - 1] >= 0
            if k >= first and (k - first) % 2 == 0:
                agrees = open_ & (votes[rows, own] >= votes.max(axis=1))
                chosen[start + rows[agrees]] = k
                open_ &= ~agrees
    return chosen
