"""The scans of which a classifier is least sure, by the entropy of its prediction (Shannon 1948)."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.sampler import Pool


def score(pool: Pool) -> np.ndarray:
    """(N,) -sum p log p / log K, in [0, 1]."""
    p = np.maximum(pool.probabilities, 1e-12)
    return -(p * np.log(p)).sum(axis=1) / np.log(pool.n_classes)
