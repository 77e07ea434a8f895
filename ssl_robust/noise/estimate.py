"""What is known about the noise of a set whose true labels nobody knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NoiseEstimate:
    """A noise matrix and what follows from it.

    Attributes:
        transition: (K, K) T[true, given], rows sum to one; the row of a class that nothing is taken to be is that of
            the identity.
        prior: (K,) shares of the true classes, sum to one.
        rate: share of wrong labels, 1 - sum of prior[k] T[k, k].
    """

    transition: np.ndarray
    prior: np.ndarray
    rate: float

    @classmethod
    def from_joint(cls, joint: np.ndarray) -> NoiseEstimate:
        """The estimate that a table of true against given classes amounts to.

        Args:
            joint: (K, K) how often a sample of the row's class is labelled as the column's, in any unit.
        """
        joint = joint / joint.sum()
        prior = joint.sum(axis=1)
        transition = np.eye(len(joint))
        np.divide(joint, prior[:, None], out=transition, where=prior[:, None] > 0)
        return cls(transition, prior, float(1 - np.trace(joint)))


def checked_labels(labels: np.ndarray, n_samples: int, n_classes: int) -> np.ndarray:
    """(N,) labels as int64, one of K classes for each of N samples.

    Raises:
        ValueError: another number of them (the message states both), none at all, no ints, or one outside [0, K).
    """
    labels = np.asarray(labels)
    if labels.shape != (n_samples,):
        raise ValueError(f"there are {n_samples} samples and labels of shape {labels.shape}; expected one each")
    if not n_samples:
        raise ValueError("there is no sample, so there is no noise to estimate")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"labels are {labels.dtype} in [{labels.min()}, {labels.max()}]; expected ints in [0, {n_classes})"
        )
    return labels.astype(np.int64)


def checked_weights(weights: np.ndarray | None, n_samples: int) -> np.ndarray:
    """(N,) how often each sample counts, once where None.

    Raises:
        ValueError: another number of them (the message states both), one below zero or not finite, or none above.
    """
    if weights is None:
        return np.ones(n_samples)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(f"there are {n_samples} samples and weights of shape {weights.shape}; expected one each")
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        raise ValueError(
            f"weights lie in [{weights.min()}, {weights.max()}]; expected finite numbers from 0 on, one above"
        )
    return weights
