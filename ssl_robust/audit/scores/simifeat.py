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
    """Rank of the vote within the given class, against the share of that class's labels that is wrong.

    Section 4.3 there: of the samples given the class j, those with the highest scores are called corrupted, as many as
    P(Y != j | given j) of them. What is a low vote for a rare class, whose neighbours are of other classes anyway, is
    thus measured by the class's own. The share w of wrong labels puts that cut at one half: with q in (0, 1) the rank
    from the most suspect on, as a quantile, ties at their mean,

        score = 1 - q / (2 w)              where q <= w
        score = (1 - q) / (2 (1 - w))      else.

    Between classes the score thus compares how far into the own class's suspects a sample stands. By itself it cannot
    tell a clean class from a noisy one: only w does, and where w is estimated badly the cut is at a bad place, while
    the order within a class is the vote's in any case.

    Args:
        evidence: its neighbours vote; its probabilities are asked for where `wrong_shares` is None.
        temperature: a vote weighs exp(cosine similarity / temperature).
        wrong_shares: (K,) P(Y != j | given j), e.g. 1 - T[j, j] P(Y = j) / P(given j) of a transition matrix that HOC
            estimated; None: by `wrong_by_confident_joint`.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; above one half = among the class's suspects.

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
    wrong = shares[labels]
    suspect = quantiles <= wrong
    inside = 1 - quantiles / np.where(suspect, 2 * wrong, 1)
    outside = (1 - quantiles) / np.where(suspect, 1, 2 * (1 - wrong))
    return np.where(suspect, inside, outside)


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
