"""The vote of SimiFeat (Zhu et al. 2022, arXiv 2110.06283): as -log p, and cut per class by its share of errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from ssl_robust.audit.evidence import Evidence
from ssl_robust.audit.scores.bounded import from_positive
from ssl_robust.audit.scores.knn import evidence_shares, knn_score


def neg_log(evidence: Evidence, *, temperature: float) -> np.ndarray:
    """-log of the neighbours' share p of votes for the given label, as s / (1 + s); 1 where p = 0.

    An increasing function of 1 - p, so that the order is that of `knn`; the values are not: they rise steeply only
    where hardly anybody vouches for the label.

    Args:
        evidence: its neighbours vote.
        temperature: a vote weighs exp(cosine similarity / temperature).

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; 0 for a sample without neighbours.
    """
    shares = evidence_shares(evidence, temperature=temperature)
    own = shares[np.arange(len(evidence)), evidence.labels]
    with np.errstate(divide="ignore"):  # nobody vouches: infinity, which is mapped to one
        return from_positive(-np.log(own))


def simifeat_rank(evidence: Evidence, *, temperature: float, wrong_shares: Sequence[float] | None = None) -> np.ndarray:
    """The vote, those first who are among their class's suspects: as many as the class's share of wrong labels says.

    The ranking-based detection there (SimiFeat-R): of the samples given the class j, those with the highest votes
    against them are called corrupted, as many as P(Y != j | given j) of them. What is a vote to worry about in a clean
    class is none in a class most of whose labels are wrong. With v the vote of `knn`, and q in (0, 1) the quantile of
    its rank within the class from the most suspect on, ties at their mean,

        score = (1 + v) / 2     where q <= P(Y != j | given j)
        score = v / 2           else,

    so that within a class the order is the vote's, and suspects of all classes come before everybody else. Between
    suspects the vote decides, not the rank: by rank, half of a noisy class would come before the second scan of a clean
    one, and measured worse with estimated shares. All hangs on the shares. The confident joint tells the classes that
    are noisy but takes a weak probe's doubts for errors; where it does, the score is little better or worse than the
    vote alone.

    Args:
        evidence: its neighbours vote; its probabilities are asked for where `wrong_shares` is None.
        temperature: a vote weighs exp(cosine similarity / temperature).
        wrong_shares: (K,) P(Y != j | given j), e.g. 1 - T[j, j] P(Y = j) / P(given j) of a transition matrix that HOC
            estimated; None: by `wrong_by_confident_joint`.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; above one half = among the suspects.

    Raises:
        ValueError: `wrong_shares` has not K values in [0, 1].
    """
    labels = evidence.labels
    if wrong_shares is None:
        shares = wrong_by_confident_joint(labels, evidence.probabilities)
    else:
        shares = np.asarray(wrong_shares, dtype=np.float64)
    if shares.shape != (evidence.n_classes,) or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"wrong_shares is {wrong_shares}; expected {evidence.n_classes} shares, each from 0 to 1")
    against = knn_score(evidence_shares(evidence, temperature=temperature), labels)
    quantiles = np.empty(len(labels))
    for rows in _by_class(labels):
        quantiles[rows] = (rankdata(-against[rows]) - 0.5) / len(rows)
    return (against + (quantiles <= shares[labels])) / 2


def wrong_by_confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Share of each class's given labels that confident learning holds for wrong.

    Northcutt et al. 2021, arXiv 1911.00068, section 3.1: a sample counts for the class with the largest probability
    among those that reach the mean probability of that class over its own given labels, and for none where there is
    no such class.

    Args:
        labels: (N,) ints in [0, K), as given.
        probabilities: (N, K) out of fold.

    Returns:
        (K,) float in [0, 1]; 0 for a class none of whose samples counts.
    """
    n_classes = probabilities.shape[1]
    given = np.bincount(labels, minlength=n_classes)
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], minlength=n_classes)
    thresholds = np.where(given > 0, own / np.maximum(given, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1)
    largest = confident.max(axis=1)
    counted, agrees = largest >= 0, confident[np.arange(len(labels)), labels] == largest
    total = np.bincount(labels, counted, minlength=n_classes)
    return np.bincount(labels, counted & ~agrees, minlength=n_classes) / np.maximum(total, 1)


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    """Rows of each class that there is."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
