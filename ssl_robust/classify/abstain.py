"""Which scans a classifier leaves to an expert, and what that is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl_robust import metrics
from ssl_robust.run import UserError

_POINTS = 20  # of the curve: every twentieth of the scans


def check_share(share: Any) -> None:
    """Refuse what is no share below one.

    Raises:
        UserError: it is none.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise UserError(f"abstain={share} does not fit; expected the share of scans to leave to an expert, from 0 to "
                        "below 1, e.g. 0.1")  # fmt: skip


def least_sure(probabilities: np.ndarray, share: float) -> np.ndarray:
    """The scans whose predicted class is the least probable.

    A share and no probability is asked for: it says how many scans the expert will be given, and means the same for a
    classifier whose probabilities are too high.

    Args:
        probabilities: (N, K) rows that sum to one.
        share: of the N scans, rounded to whole ones.

    Returns:
        (N,) bool; of equally sure scans at the limit the first ones.
    """
    n = round(share * len(probabilities))
    chosen = np.zeros(len(probabilities), dtype=bool)
    chosen[np.argsort(probabilities.max(axis=1), kind="stable")[:n]] = True
    return chosen


def selective_curve(labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, float]]:
    """Accuracy among the scans that are answered, against the share that is left to an expert.

    El-Yaniv & Wiener 2010 (JMLR 11, risk-coverage); the points are those shares at which at least one scan is answered.

    Args:
        labels: (N,) ints in [0, K), N > 0.
        probabilities: (N, K) rows that sum to one.

    Returns:
        One dict each: abstained, accuracy, balanced_accuracy (over the classes left), threshold (the least
        probability that is answered).
    """
    rows = []
    for share in np.arange(_POINTS) / _POINTS:
        kept = ~least_sure(probabilities, share)
        if not kept.any():
            break
        measured = labels[kept], probabilities[kept]
        predicted = measured[1].argmax(axis=1)
        recalls = metrics.class_recalls(measured[0], predicted, n_classes=probabilities.shape[1])
        rows.append({
            "abstained": float(share),
            "accuracy": float(np.mean(predicted == measured[0])),
            "balanced_accuracy": float(np.nanmean(recalls)),
            "threshold": float(measured[1].max(axis=1).min()),
        })  # fmt: skip
    return rows
