"""Training dynamics: what a classifier makes of each label, epoch by epoch, while it learns all of them.

A network learns right labels early and wrong ones late (arXiv 1706.05394): losses stay high, margins low, gradients
keep changing. Pure functions of arrays; nothing here trains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LAST_EPOCHS = 5  # "the last five epochs": VOG, arXiv 2407.05973


def loss_and_margin(given: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of the given label, and its logit less the largest other logit (AUM's margin, arXiv 2001.10528).

    Args:
        given: (N,) codes as given.
        probabilities: (N, K) predictions.

    Returns:
        Two (N,) float16 arrays; differences of logs of probabilities are differences of logits.
    """
    logs = np.log(np.clip(probabilities.astype(np.float64), 1e-12, None))
    rows = np.arange(len(given))
    own = logs[rows, given]
    logs[rows, given] = -np.inf
    return (-own).astype(np.float16), (own - logs.max(axis=1)).astype(np.float16)


def last_layer_gradients(features: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Gradient of each sample's cross-entropy with respect to the last layer's row of the given label.

    (p - 1) [features, 1], the weights' entries and then the bias's.

    Args:
        features: (N, D) float32 that enter the last layer.
        own: (N,) probability p of the given label.

    Returns:
        (N, D + 1) float32.
    """
    slope = (own - 1).astype(np.float32)
    gradients = np.empty((len(features), features.shape[1] + 1), dtype=np.float32)
    np.multiply(features, slope[:, None], out=gradients[:, :-1])
    gradients[:, -1] = slope
    return gradients


@dataclass
class GradientSpread:
    """Variance of gradients without keeping the gradients: mean over the entries of the deviation over epochs.

    Khanal et al. 2024 (MICCAI), arXiv 2407.05973. The mean and the squared deviations of every entry are
    carried on (Welford 1962), which gives what the kept gradients would: 8 N (D + 1) bytes instead of 4 E N (D + 1).

    Attributes:
        n_epochs: how many were taken in.
        mean: (N, D + 1) float32 over these epochs.
        squares: (N, D + 1) float32, sums of squared deviations from it.
    """

    n_epochs: int
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def empty(cls, n_samples: int, n_entries: int) -> GradientSpread:
        """Of no epoch yet; `n_entries` is D + 1."""
        shape = n_samples, n_entries
        return cls(0, np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32))

    def start_epoch(self) -> None:
        """Say that what `add` gets from now on is another epoch, in which each row is added once."""
        self.n_epochs += 1

    def add(self, rows: slice, gradients: np.ndarray) -> None:
        """Take in some samples.

        Args:
            rows: which.
            gradients: (n, D + 1) of these.
        """
        mean, squares = self.mean[rows], self.squares[rows]  # views
        before = gradients - mean
        mean += before / np.float32(self.n_epochs)
        squares += before * (gradients - mean)

    def variance(self) -> np.ndarray:
        """(N,) float32, not negative; "variance" is the paper's name, its formula takes standard deviations."""
        return np.sqrt(self.squares / np.float32(max(1, self.n_epochs))).mean(axis=1)
