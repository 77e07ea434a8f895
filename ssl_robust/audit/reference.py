"""New labels judged by a finished audit: the nearest of its scans vote, those it suspects with less weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_robust import neighbors
from ssl_robust.audit.scores.knn import knn_score, suggest
from ssl_robust.records import Neighbors

_BLOCK = 16_384  # samples looked at together; bounds what is held besides the shares


@dataclass(frozen=True)
class Voters:
    """The labelled samples of an audit; row i of everything is the same one.

    Attributes:
        vectors: (M, D) finite numbers.
        labels: (M,) ints in [0, K).
        groups: (M,) ints from 0, who shares a patient.
        trust: (M,) weight of a vote in [0, 1], 1 - p_mislabeled where that is known.
        n_classes: K.
    """

    vectors: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    trust: np.ndarray
    n_classes: int


@dataclass(frozen=True)
class Judgement:
    """What voters say of N new labels.

    Attributes:
        neighbors: (N, k) rows of the voters.
        shares: (N, K) of the votes for each class.
        suggested: (N,) ints in [0, K), the class with most votes; ties go to the given label.
        score: (N,) in [0, 1], higher = more likely mislabelled.
    """

    neighbors: Neighbors
    shares: np.ndarray
    suggested: np.ndarray
    score: np.ndarray


def judge(
    voters: Voters, vectors: np.ndarray, labels: np.ndarray, own: np.ndarray, *, k: int, center: bool,
    temperature: float,
) -> Judgement:  # fmt: skip
    """New vectors and labels -> how likely each label is wrong; the new samples do not vote on each other.

    A batch of new scans may be wrong together (one scanner, one reader), so that its own majority proves nothing.

    Args:
        voters: of the audit.
        vectors: (N, D) of the same encoder.
        labels: (N,) ints in [0, K), as given.
        own: (N,) group of each among the voters' groups, which does not vote on it; -1: none is its own.
        k: voters on each.
        center: take the mean of the voters' vectors off all.
        temperature: weight of a vote is trust * exp(cosine similarity / temperature).
    """
    found = neighbors.query(
        voters.vectors, vectors, k=min(k, len(voters.labels)), groups=voters.groups, own=own, center=center
    )
    most = _possible_voters(voters, labels, own)
    shares = np.empty((len(labels), voters.n_classes))
    for start in range(0, len(labels), _BLOCK):
        block = slice(start, start + _BLOCK)
        part = Neighbors(found.indices[block], found.similarities[block])
        shares[block] = trusted_shares(part, voters, labels[block], most[block], temperature=temperature)
    return Judgement(found, shares, suggest(shares, labels), knn_score(shares, labels))


def trusted_shares(
    found: Neighbors, voters: Voters, labels: np.ndarray, most: np.ndarray, *, temperature: float
) -> np.ndarray:
    """(N, K) shares of the votes as `vote_shares` counts them, each vote times the trust in the voter's own label.

    Args:
        found: (N, k) rows of the voters.
        voters: of the audit.
        labels: (N,) ints in [0, K).
        most: (N,) how many voters outside of the own group carry that label.
        temperature: above zero.
    """
    rows, k = np.arange(len(labels)), found.indices.shape[1]
    # Relative to the nearest, so that a small temperature does not overflow; -inf (no neighbour) weighs nothing.
    nearest = np.where(np.isneginf(found.similarities[:, :1]), 0, found.similarities[:, :1])
    weights = np.exp((found.similarities - nearest).astype(np.float64) / temperature) * voters.trust[found.indices]
    cells = rows[:, None] * voters.n_classes + voters.labels[found.indices]
    votes = np.bincount(cells.reshape(-1), weights.reshape(-1), minlength=len(labels) * voters.n_classes)
    votes = votes.reshape(len(labels), voters.n_classes)
    total = np.cumsum(weights, axis=1)
    shares = votes / np.maximum(total[:, -1:], np.finfo(float).tiny)
    given = votes[rows, labels] / np.maximum(total[rows, np.clip(most, 1, k) - 1], np.finfo(float).tiny)
    shares[rows, labels] = np.where(total[:, -1] > 0, np.minimum(given, 1), 1)  # nobody speaks against it
    return shares.round(6)


def calibrated(
    voters: Voters, p_mislabeled: np.ndarray, score: np.ndarray, *, n: int, seed: int, **options: Any
) -> np.ndarray:
    """Scores of new labels -> probabilities: what the audit says of its own samples that get the same score.

    Isotonic (Zadrozny and Elkan 2002): it rises with the score. It holds as far as new labels err as the audit's do.

    Args:
        voters: of the audit.
        p_mislabeled: (M,) of the voters in [0, 1]; NaN where it is not known.
        score: (N,) from `judge`.
        n: voters that it is fitted to, each judged by those of other groups.
        seed: which voters these are.
        options: `k`, `center` and `temperature` of `judge`.

    Returns:
        (N,) in [0, 1] with six decimals.
    """
    from sklearn.isotonic import IsotonicRegression

    known = np.flatnonzero(~np.isnan(p_mislabeled))
    rows = np.sort(np.random.default_rng(seed).permutation(known)[:n])
    own = judge(voters, voters.vectors[rows], voters.labels[rows], voters.groups[rows], **options)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(own.score, p_mislabeled[rows])
    return np.asarray(fitted.predict(score)).round(6)


def _possible_voters(voters: Voters, labels: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(N,) how many voters outside of the own group carry the same label."""
    n = voters.n_classes
    pairs, counts = np.unique(voters.groups * n + voters.labels, return_counts=True)
    wanted = own * n + labels  # below zero where no group is the own, which no pair is
    at = np.searchsorted(pairs, wanted).clip(max=len(pairs) - 1)
    return np.bincount(voters.labels, minlength=n)[labels] - np.where(pairs[at] == wanted, counts[at], 0)
