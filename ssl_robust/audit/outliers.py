"""Scans far from all others: photographs of a screen, another organ, another modality, broken files."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from ssl_robust.records import Neighbors

_NORMAL = 0.6745  # median absolute deviation of a normal distribution of variance one
_LEAST = 1e-6  # a spread of nothing but rounding
_TINY = float(np.finfo(np.float64).tiny)
_BLOCK = 16_384  # samples looked at together


def outlier_scores(neighbors: Neighbors, lengths: np.ndarray, *, limit: float) -> np.ndarray:
    """Neighbours -> how far each sample is from all others: z of its Euclidean distance to them, as a logistic.

    Distances to the k nearest are Ramaswamy et al. 2000 (SIGMOD, 427-438, doi 10.1145/342009.335437), here the middle
    of them, so that nearly k / 2 strange scans of one kind do not hide one another; from lengths and cosines, since a
    cosine alone does not tell what lies far out in a usual direction. z is the modified z-score of Iglewicz & Hoaglin
    1993, 0.6745 (d - median) / MAD, with the deviations above the median alone: dense parts of a set say nothing of
    how far apart its normal samples may lie.

    Args:
        neighbors: (N, k) outside of the own patient and its duplicates, so that copies do not hide each other.
        lengths: (N,) of the vectors, centred as for the neighbours (`UnitRows.lengths`).
        limit: z at which the score is 0.5; beyond it a sample is called off topic.

    Returns:
        (N,) float in [0, 1] with six decimals, higher = farther from everything; 0 for a sample without neighbours, of
        which nothing is known.
    """
    middle = np.empty(len(lengths))
    for start in range(0, len(lengths), _BLOCK):
        block = slice(start, start + _BLOCK)
        middle[block] = _middle_distance(neighbors, lengths, block)
    known = np.isfinite(middle)
    scores = np.zeros(len(lengths))
    if known.any():
        above = middle[known] - np.median(middle[known])
        spread = float(np.median(above[above > 0])) if (above > 0).any() else 0.0
        scores[known] = expit(_NORMAL * above / max(spread, _LEAST * float(middle[known].max()), _TINY) - limit)
    return scores.round(6)


def _middle_distance(neighbors: Neighbors, lengths: np.ndarray, block: slice) -> np.ndarray:
    """(n,) the middle of each sample's distances to the neighbours that it has, infinite where it has none."""
    indices, similar = neighbors.indices[block], neighbors.similarities[block].astype(np.float64)
    own, others = lengths[block, None].astype(np.float64), lengths[indices].astype(np.float64)
    squares = own**2 + others**2 - 2 * own * others * np.where(indices < 0, 0, similar)
    distances = np.sort(np.where(indices < 0, np.inf, np.sqrt(np.maximum(squares, 0))), axis=1)
    n_found = (indices >= 0).sum(axis=1)
    low, high = (np.maximum(n_found - 1, 0) // 2, n_found // 2)
    rows = np.arange(len(indices))
    return (distances[rows, low] + distances[rows, np.minimum(high, distances.shape[1] - 1)]) / 2


def outliers_table(scores: np.ndarray, *, ids: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> pd.DataFrame:
    """The samples that are off topic (score above 0.5): `sample_id`, `label`, `score`, `rank`, 1 = look first.

    Args:
        scores: (N,) of `outlier_scores`.
        ids: (N,) names.
        labels: (N,) ints, as given.
        classes: (K,) names.
    """
    rows = np.argsort(-scores, kind="stable")[: int((scores > 0.5).sum())]
    return pd.DataFrame({
        "sample_id": ids[rows], "label": classes[labels[rows]], "score": scores[rows],
        "rank": np.arange(1, len(rows) + 1),
    })  # fmt: skip
