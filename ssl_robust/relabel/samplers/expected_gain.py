"""The labels whose correction is worth most to a classifier: wrong, and of a class with few scans."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.sampler import Pool


def score(pool: Pool, power: float) -> np.ndarray:
    """(N,) sum over other classes c of p(c) worth(label, c), as a share of the largest.

    Balanced accuracy weighs a scan of a class with share s by 1 / (K s). A wrong label does harm twice: its class
    learns from a scan that it does not have, and the true class lacks one. So worth(j, c) is the larger of the weights
    of j and c, to a power: 0 is the audit's order, 1 is for the classifier alone.

    Args:
        pool: what is known.
        power: of the classes' weights.
    """
    weights = (len(pool) / (pool.n_classes * pool.sizes)) ** power
    others = pool.posterior.copy()
    others[np.arange(len(pool)), pool.labels] = 0
    worth = np.maximum(weights[pool.labels][:, None], weights)
    return (others * worth).sum(axis=1) / weights.max()
