"""Training dynamics: what a classifier makes of each label, epoch by epoch, while it learns all of them.

A network learns right labels early and wrong ones late (arXiv 1706.05394): losses stay high, margins low, gradients
keep changing. Pure functions of arrays; nothing here trains.
"""

from __future__ import annotations

import numpy as np

LAST_EPOCHS = 5  # "the last five epochs": VOG, arXiv 2407.05973, section 2.2


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


class GradientSpread:
    """Variance of gradients without keeping the gradients: mean over the entries of the deviation over epochs.

    Khanal et al. 2024 (MICCAI), arXiv 2407.05973, equation 1. The mean and the squared deviation of every entry are
    carried on (Welford 1962), exactly what the kept gradients would give: 8 N (D + 1) bytes instead of 4 E N (D + 1).

    Args:
        n_samples: N.
        dim: D + 1, entries of a gradient.

    Attributes:
        n_epochs: how many were taken in.
    """

    def __init__(self, n_samples: int, dim: int) -> None:
        self.n_epochs = 0
        self._mean = np.zeros((n_samples, dim), dtype=np.float32)
        self._squares = np.zeros((n_samples, dim), dtype=np.float32)

    def start_epoch(self) -> None:
        """Say that what `add` gets from now on is another epoch; each row is added once in it."""
        self.n_epochs += 1

    def add(self, rows: slice, gradients: np.ndarray) -> None:
        """Take in some samples.

        Args:
            rows: which.
            gradients: (n, D + 1) of these.
        """
        mean, squares = self._mean[rows], self._squares[rows]
        before = gradients - mean
        mean += before / np.float32(self.n_epochs)
        squares += before * (gradients - mean)

    def variance_of_gradients(self) -> np.ndarray:
        """(N,) float32, not negative; the name is the paper's, the entries' values are standard deviations."""
        deviations = self._squares / np.float32(max(1, self.n_epochs))
        return np.sqrt(deviations, out=deviations).mean(axis=1)

    def state(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Epochs, and the two (N, D + 1) arrays that `restore` takes."""
        return self.n_epochs, self._mean, self._squares

    def restore(self, n_epochs: int, mean: np.ndarray, squares: np.ndarray) -> None:
        """Continue from what `state` gave."""
        self.n_epochs, self._mean, self._squares = n_epochs, mean, squares
