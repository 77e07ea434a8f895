"""How often each class is labelled as each other, counted where a classifier is as sure as it is of that class."""

from __future__ import annotations

import numpy as np

from ssl_robust.noise.estimate import NoiseEstimate, checked_labels, checked_weights

_ROUNDING = 1e-6  # float32 probabilities that are all alike must reach their own mean


def confident_joint(
    probabilities: np.ndarray, labels: np.ndarray, *, n_classes: int, weights: np.ndarray | None = None
) -> NoiseEstimate:
    """Out-of-fold probabilities and labels as given -> the noise of these labels.

    Confident learning, Northcutt et al. 2021, arXiv 1911.00068, equations 1 to 3; T follows from the joint.

    Args:
        probabilities: (N, K), of a classifier that never saw the sample's group.
        labels: (N,) ints in [0, K), as given (perhaps wrong).
        n_classes: K.
        weights: (N,) how often each sample counts (a bootstrap over patients); None: once.

    Raises:
        ValueError: lengths differ (the message states both), or a label, weight or shape that cannot be.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or probabilities.shape[1] != n_classes:
        raise ValueError(f"probabilities have shape {probabilities.shape}; expected (N, {n_classes})")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise ValueError("a probability is negative or no number; expected those of a classifier, out of fold")
    labels = checked_labels(labels, len(probabilities), n_classes)
    weights = checked_weights(weights, len(labels))
    counts = confident_counts(probabilities, labels, weights)
    # Eq. 3: as many samples of each given class as there are, whether the classifier was confident of them or not.
    given = np.bincount(labels, weights, minlength=n_classes)
    joint = counts / counts.sum(axis=1, keepdims=True) * given[:, None]
    return NoiseEstimate.from_joint(joint.T)


def confident_counts(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(K, K) confident samples by given (row) and likely true (column) class; equations 1 and 2.

    As in cleanlab, at least one sample of each class counts as rightly labelled. Unlike there, a sample that reaches
    several thresholds goes to the likeliest of these classes (eq. 1) even where a class whose threshold it misses is
    likelier still.
    """
    n_samples, n_classes = probabilities.shape
    own = probabilities[np.arange(n_samples), labels].astype(np.float64)
    given = np.bincount(labels, weights, minlength=n_classes)
    # Nobody can be confident of a class without a sample. Zero self-confidence must not make everybody so.
    thresholds = np.full(n_classes, np.inf)
    np.divide(np.bincount(labels, weights * own, minlength=n_classes), given, out=thresholds, where=given > 0)
    thresholds = np.maximum(thresholds - _ROUNDING, _ROUNDING)
    reached = np.where(probabilities >= thresholds, probabilities, -1)
    likely = reached.argmax(axis=1)
    sure = reached.max(axis=1) >= 0
    pairs = labels[sure] * n_classes + likely[sure]
    counts = np.bincount(pairs, weights[sure], minlength=n_classes**2).reshape(n_classes, n_classes)
    np.fill_diagonal(counts, np.maximum(counts.diagonal(), 1))
    return counts
