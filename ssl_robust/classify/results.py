"""How good a classifier is on labelled scans, and how far its probabilities can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl_robust import metrics
from ssl_robust.classify.abstain import selective_curve
from ssl_robust.finetune.task import Task

_BINS = 10  # of the drawn curve; the calibration error has its own


def measured(task: Task, raw: np.ndarray, calibrated: np.ndarray) -> dict[str, Any]:
    """`test` of train.json.

    Args:
        task: the labels.
        raw: (n_test, K) probabilities as the network gives them.
        calibrated: (n_test, K) likewise, after calibration.
    """
    labels = task.truth[task.test]
    known = (task.manifest.codes("true_label")[task.test] >= 0).all() or task.corruption.kind != "none"
    return {
        **described(labels, calibrated),
        "ece_before_calibration": metrics.calibration_error(labels, raw),
        "labels_are_true": bool(known),
    }


def described(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Measures and curves of predictions whose labels are known.

    Args:
        labels: (N,) ints in [0, K), N > 0.
        probabilities: (N, K) rows that sum to one.

    Returns:
        What `metrics.classification` gives; n; confusion (K, K), labels by rows; reliability, see `reliability_curve`;
        selective, see `selective_curve`.
    """
    n_classes = probabilities.shape[1]
    pairs = labels * n_classes + probabilities.argmax(axis=1)
    confusion = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)
    return {
        **metrics.classification(labels, probabilities),
        "n": len(labels),
        "confusion": confusion.tolist(),
        "reliability": reliability_curve(labels, probabilities),
        "selective": selective_curve(labels, probabilities),
    }


def reliability_curve(labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, float]]:
    """How often the predicted class is right, by how probable it is called.

    Args:
        labels: (N,) ints in [0, K).
        probabilities: (N, K) rows that sum to one.

    Returns:
        One dict for each tenth of the scans by confidence (fewer where there are fewer scans): confidence and accuracy,
        means; n.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(_BINS, len(labels)))
    return [
        {"confidence": float(confidence[part].mean()), "accuracy": float(right[part].mean()), "n": len(part)}
        for part in parts
    ]
