"""Any scan: what every other order has to beat."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.sampler import Pool


def score(pool: Pool) -> np.ndarray:
    """(N,) uniform numbers in [0, 1)."""
    return np.random.default_rng(pool.seed).random(len(pool))
