"""The vote of the nearest neighbours on a label."""

from __future__ import annotations

import numpy as np

from ssl_robust.audit.evidence import Evidence
from ssl_robust.records import Neighbors

_BLOCK = 16_384  # samples looked at together; bounds what is held besides the shares


def knn(evidence: Evidence, *, temperature: float) -> np.ndarray:
    """1 - the share of the neighbours' votes that the given label gets; see `vote_shares`.

    Args:
        evidence: its neighbours vote.
        temperature: a vote weighs exp(cosine similarity / temperature).

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; 0 for a sample without neighbours.
    """
    return knn_score(evidence_shares(evidence, temperature=temperature), evidence.labels)


def evidence_shares(evidence: Evidence, *, temperature: float) -> np.ndarray:
    """(N, K) `vote_shares` of the samples that an evidence is of."""
    return vote_shares(
        evidence.neighbors, evidence.labels, evidence.groups, n_classes=evidence.n_classes, temperature=temperature
    )


def vote_shares(
    neighbors: Neighbors,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    n_classes: int,
    temperature: float,
) -> np.ndarray:
    """The share of the neighbours' votes for each class, a vote weighing exp(cosine similarity / temperature).

    Weights as in Wu et al. 2018, arXiv 1805.01978, section 3.4. Our own: the share of the given label is taken of as
    many nearest voters as carry that label at all, so that a class with fewer members than voters is not wrong by
    arithmetic. A class with one member keeps share 0: nobody else vouches for it.

    Args:
        neighbors: of the N labelled samples among themselves.
        labels: (N,) ints in [0, n_classes).
        groups: (N,) ints, those that the neighbours were searched with; every sample its own where None.
        n_classes: K.
        temperature: above zero; smaller = the nearest decide.

    Returns:
        (N, K) float in [0, 1] with six decimals. A sample without neighbours has 1 for its own label, 0 elsewhere.

    Raises:
        ValueError: lengths differ (the message states both).
    """
    n, k = neighbors.indices.shape
    if len(labels) != n:
        raise ValueError(f"there are {n} samples with neighbours and {len(labels)} labels; expected one each")
    most = np.clip(possible_voters(labels, groups), 1, k)  # a lone member is judged by its nearest voter
    shares = np.empty((n, n_classes))
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        part = Neighbors(neighbors.indices[block], neighbors.similarities[block])
        shares[block] = _shares(part, labels, labels[block], most[block], n_classes, temperature)
    return shares


def _shares(
    neighbors: Neighbors, labels: np.ndarray, own: np.ndarray, most: np.ndarray, n_classes: int, temperature: float
) -> np.ndarray:
    """The shares of some samples; `own` are their labels, and `most` voters decide on these."""
    rows = np.arange(len(own))
    # Relative to the nearest, so that a small temperature does not overflow; -inf (no neighbour) weighs nothing.
    nearest = np.where(np.isneginf(neighbors.similarities[:, :1]), 0, neighbors.similarities[:, :1])
    weights = np.exp((neighbors.similarities - nearest).astype(np.float64) / temperature)
    cells = rows[:, None] * n_classes + labels[neighbors.indices]
    votes = np.bincount(cells.reshape(-1), weights.reshape(-1), minlength=len(own) * n_classes)
    votes = votes.reshape(len(own), n_classes)
    cumulative = np.cumsum(weights, axis=1)
    trusted = votes[rows, own] / np.maximum(cumulative[rows, most - 1], np.finfo(float).tiny)
    shares = votes / np.maximum(cumulative[:, -1:], np.finfo(float).tiny)
    shares[rows, own] = np.where(cumulative[:, -1] > 0, np.minimum(trusted, 1), 1)
    return shares.round(6)


def knn_score(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 - the share of the neighbours' votes that the given label gets.

    Args:
        shares: (N, K) from `vote_shares`.
        labels: (N,) ints in [0, K), as given (perhaps wrong).

    Returns:
        (N,) float in [0, 1] with six decimals, higher = more likely mislabelled; 0 for a sample without neighbours,
        against which nothing speaks.
    """
    return (1 - shares[np.arange(len(labels)), labels]).round(6)


def suggest(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class with the largest share of the votes; ties go to the given label, then to the lower class.

    Args:
        shares: (N, K) from `vote_shares`.
        labels: (N,) ints in [0, K).

    Returns:
        (N,) ints in [0, K).
    """
    largest = shares.max(axis=1)
    return np.where(shares[np.arange(len(labels)), labels] >= largest, labels, shares.argmax(axis=1))


def possible_voters(labels: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """How many samples outside the own group carry the same label.

    Args:
        labels: (N,) ints from 0.
        groups: (N,) ints; every sample its own where None.

    Returns:
        (N,) ints.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    pairs = np.unique(groups, return_inverse=True)[1] * (labels.max(initial=0) + 1) + labels
    _, pair, together = np.unique(pairs, return_inverse=True, return_counts=True)
    return np.bincount(labels)[labels] - together[pair]
