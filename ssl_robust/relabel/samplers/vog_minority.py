"""Labels whose gradients keep changing, those of rare classes first (Khanal et al. 2024, MICCAI, arXiv 2407.05973)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl_robust.noise.dynamics import GradientSpread, last_layer_gradients
from ssl_robust.relabel.head import train_head
from ssl_robust.relabel.sampler import Pool


def score(pool: Pool, power: float, **head: Any) -> np.ndarray:
    """(N,) Variance of Gradients, as a share of the largest, times the weight of the label's class to a power.

    The gradient is that of the cross-entropy with respect to the last layer's row of the given label, over the *last*
    epochs of a linear head. The paper keeps the samples with low variance as clean, which saves rare classes from
    being thrown out by their loss; what is left to ask about are those with high variance.

    Args:
        pool: what is known.
        power: of N / (K n_class); 0: classes count by their size.
        head: values of `train_head`.
    """
    epochs = train_head(pool.vectors, pool.labels, n_classes=pool.n_classes, seed=pool.seed, **head).epochs
    features = np.asarray(pool.vectors, dtype=np.float32)
    spread = GradientSpread.empty(len(pool), features.shape[1] + 1)
    for probabilities in epochs:
        spread.start_epoch()
        own = probabilities[np.arange(len(pool)), pool.labels]
        spread.add(slice(None), last_layer_gradients(features, own))
    sizes = np.maximum(np.bincount(pool.labels, minlength=pool.n_classes), 1)
    found = spread.variance() * (len(pool) / (pool.n_classes * sizes[pool.labels])) ** power
    return found / max(float(found.max()), 1e-12)
