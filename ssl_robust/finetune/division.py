"""Losses -> which labels are probably right: two components, the lower one of right labels."""

from __future__ import annotations

import warnings

import numpy as np
from torch import Tensor

_FEWEST = 2  # a labelled sample alone cannot be normalised over the batch


def clean_probability(losses: np.ndarray) -> np.ndarray:
    """Cross-entropies of the labels as given -> probability that each is right.

    A Gaussian mixture of two components on losses scaled to [0, 1]; the component of the smaller mean is that of right
    labels (Li et al. 2020, arXiv 2002.07394, section 3.1).

    Args:
        losses: (N,).

    Returns:
        (N,) in [0, 1]; ones where all losses are alike, for then nothing tells labels apart.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    low, high = float(losses.min()), float(losses.max())
    if not high - low > 1e-6 * max(1.0, high):
        return np.ones(len(losses))
    scaled = ((losses.astype(np.float64) - low) / (high - low))[:, None]
    # Tolerances of the authors' program: losses near zero are so many that a component of no width would take them.
    mixture = GaussianMixture(2, max_iter=100, tol=1e-2, reg_covar=5e-4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(scaled)
    return mixture.predict_proba(scaled)[:, int(np.asarray(mixture.means_).argmin())]


def divide(clean: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities -> who keeps its label, and how far each label is believed.

    Args:
        clean: (N,) probability that a label is right.
        threshold: from which on a sample counts as labelled.

    Returns:
        (N,) bool and (N,) in [0, 1]. A split without anyone labelled could teach nothing: all labels are then believed
        as they are, for the epoch.
    """
    labelled = clean > threshold
    if labelled.sum() < _FEWEST:
        return np.ones(len(clean), dtype=bool), np.ones(len(clean))
    return labelled, clean


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """(B, K) -> (B, K), p^(1/T) normalised (arXiv 2002.07394, section 3.2); T < 1 makes them surer."""
    # Divided by the largest first, so that none of a row's powers vanishes.
    powers = (probabilities / probabilities.amax(dim=1, keepdim=True)) ** (1 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)
