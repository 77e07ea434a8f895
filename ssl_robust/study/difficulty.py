"""How hard a set is for an encoder, before any noise: are its classes apart, and do alike scans share a label."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import ledoit_wolf

from ssl_robust import metrics, neighbors
from ssl_robust.settings import defaults


def measure(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """An embedding of the training split and its clean labels -> measures of difficulty.

    Khanal et al. 2024 (arXiv 2401.07990) explain by such numbers why noise hurts some sets more than others.

    Args:
        vectors: (N, D) features.
        labels: (N,) ints, the true classes; rows below 0 are left out.
        groups: (N,) patients, who do not vote on their own scans.

    Returns:
        fisher: see `separability`; knn_balanced_accuracy: of the majority of the nearest scans of other patients;
        grouping: how many of these are of the scan's own class, mean over the classes; n_classes; imbalance: scans of
        the largest class over those of the smallest. The first three: higher = easier.

    Raises:
        ValueError: lengths differ (the message states all), or fewer than two classes are there.
    """
    vectors, labels, groups = np.asarray(vectors, dtype=np.float64), np.asarray(labels), np.asarray(groups)
    if not len(vectors) == len(labels) == len(groups):
        raise ValueError(f"{len(vectors)} vectors, {len(labels)} labels and {len(groups)} groups: expected one each")
    vectors, groups = vectors[labels >= 0], groups[labels >= 0]
    codes = np.unique(labels[labels >= 0], return_inverse=True)[1]
    counts = np.bincount(codes)
    if len(counts) < 2:
        raise ValueError(f"{len(counts)} classes are there; difficulty is between two or more")
    k = defaults("", "_statistics")["statistics"]["knn"]
    found = neighbors.search(vectors.astype(np.float32), k=k, groups=groups)
    accuracy, grouping = _of_neighbors(codes, found.indices)
    return {
        "fisher": separability(vectors, codes),
        "knn_balanced_accuracy": accuracy,
        "grouping": grouping,
        "n_classes": len(counts),
        "imbalance": float(counts.max() / counts.min()),
    }


def separability(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Fisher's class separability trace(S_W^-1 S_B), 0 = the classes have one mean, higher = easier.

    S_B = sum_k p_k (m_k - m)(m_k - m)^T is the scatter between the class means, S_W the scatter within classes
    (Fukunaga 1990, Introduction to Statistical Pattern Recognition, section 10.2, criterion J1; Fisher 1936 for two
    classes). With more dimensions than scans S_W has no inverse: it is shrunk towards a multiple of the identity by
    as much as the data ask for (Ledoit and Wolf 2004, doi 10.1016/S0047-259X(03)00096-4).

    Args:
        vectors: (N, D).
        labels: (N,) ints from 0 without gaps.
    """
    shares = np.bincount(labels) / len(labels)
    means = np.stack([vectors[labels == code].mean(axis=0) for code in range(len(shares))])
    within, _ = ledoit_wolf(vectors - means[labels], assume_centered=True)
    between = means - shares @ means
    # trace(S_W^-1 S_B) = sum_k p_k d_k^T S_W^-1 d_k; a direction without any spread has no say.
    return float(shares @ np.einsum("kd,dk->k", between, np.linalg.pinv(within, hermitian=True) @ between.T))


def _of_neighbors(codes: np.ndarray, indices: np.ndarray) -> tuple[float, float]:
    """Balanced accuracy of the majority vote, the lower class of equal ones, and the share of the own class."""
    n_classes = int(codes.max()) + 1
    votes = np.zeros((len(codes), n_classes))
    there = indices >= 0
    np.add.at(votes, (np.nonzero(there)[0], codes[indices[there]]), 1)
    judged = votes.sum(axis=1) > 0
    if not judged.any():
        return float("nan"), float("nan")
    codes, votes = codes[judged], votes[judged]
    recalls = metrics.class_recalls(codes, votes.argmax(axis=1), n_classes=n_classes)
    own = votes[np.arange(len(codes)), codes] / votes.sum(axis=1)
    shares = np.bincount(codes, weights=own, minlength=n_classes) / np.maximum(
        np.bincount(codes, minlength=n_classes), 1
    )
    return float(np.nanmean(recalls)), float(shares[np.bincount(codes, minlength=n_classes) > 0].mean())
