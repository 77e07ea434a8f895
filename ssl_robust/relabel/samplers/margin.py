"""The scans whose two likeliest classes are nearly alike (Scheffer et al. 2001, doi 10.1007/3-540-44816-0_31)."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.sampler import Pool


def score(pool: Pool) -> np.ndarray:
    """(N,) 1 - (p1 - p2), in [0, 1]."""
    ordered = np.sort(pool.probabilities, axis=1)
    return 1 - (ordered[:, -1] - ordered[:, -2])
