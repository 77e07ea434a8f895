"""The scans whose likeliest class is least likely (Lewis & Gale 1994, arXiv cmp-lg/9407020)."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.sampler import Pool


def score(pool: Pool) -> np.ndarray:
    """(N,) 1 - max p, in [0, 1]."""
    return 1 - pool.probabilities.max(axis=1)
