"""The labels that are most probably wrong, by an audit of them as they are now."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.sampler import Pool


def score(pool: Pool) -> np.ndarray:
    """(N,) p(wrong): one error is worth as much as another, so this finds most errors with the fewest answers."""
    return pool.wrong
