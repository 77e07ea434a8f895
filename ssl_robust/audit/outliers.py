"""Scans far from all others: photographs of a screen, another organ, another modality, broken files."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from ssl_robust.records import Neighbors

_NORMAL = 0.6745  # median absolute deviation of a normal distribution of variance one
_LEAST = 1e-6  # similarities have six decimals


def outlier_scores(neighbors: Neighbors, *, limit: float) -> np.ndarray:
    """Neighbours -> how far each sample is from all others: z of the distance to the k-th neighbour, as a logistic.

    The distance to the k-th neighbour is Ramaswamy et al. 2000 (SIGMOD, 427-438, doi 10.1145/342009.335437); with the
    k of the vote, up to k strange scans of one kind do not hide one another. z is the modified z-score of Iglewicz &
    Hoaglin 1993, 0.6745 (d - median) / MAD, with the deviations above the median alone: dense parts of a set say
    nothing of how far apart its normal samples may lie.

    Args:
        neighbors: (N, k) outside of the own patient and its duplicates, so that copies do not hide each other.
        limit: z at which the score is 0.5; beyond it a sample is called off topic.

    Returns:
        (N,) float in (0, 1) with six decimals, higher = farther from everything; 0 for a sample without neighbours, of
        which nothing is known.
    """
    n_found = (neighbors.indices >= 0).sum(axis=1)
    known = n_found > 0
    scores = np.zeros(len(n_found))
    if not known.any():
        return scores
    last = neighbors.similarities[known, n_found[known] - 1].astype(np.float64)
    above = (1 - last) - np.median(1 - last)
    spread = np.median(above[above > 0]) if (above > 0).any() else 0.0
    scores[known] = expit(_NORMAL * above / max(spread, _LEAST) - limit)
    return scores.round(6)


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
