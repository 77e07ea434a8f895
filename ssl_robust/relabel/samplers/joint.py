"""Labels that are wrong but not ambiguous: where an expert's answer settles something."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.sampler import Pool


def score(pool: Pool) -> np.ndarray:
    """(N,) probability of the likeliest other class given label and scan, in [0, 1].

    The idea of Bernhardt et al. 2022 (Nature Communications 13:1161, eq. 2: cross-entropy of the label less the entropy
    of the prediction), said with the audit's posterior: p(wrong) times how sure the class is, if it is wrong.
    """
    others = pool.posterior.copy()
    others[np.arange(len(pool)), pool.labels] = 0
    return others.max(axis=1)
