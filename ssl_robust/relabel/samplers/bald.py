"""The scans about which models that fit the labels alike disagree: BALD (Houlsby et al. 2011, arXiv 1112.5745, eq. 2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl_robust.relabel.head import train_head
from ssl_robust.relabel.sampler import Pool


def score(pool: Pool, **head: Any) -> np.ndarray:
    """(N,) H(mean p) - mean H(p) over draws with dropout, in [0, 1] (divided by log K).

    Models are drawn by dropout that stays on (Gal et al. 2017, arXiv 1703.02910, section 3.2); without dropout all draws
    are one model, and the score is zero.

    Args:
        pool: what is known.
        head: values of `train_head`.
    """
    drawn = train_head(pool.vectors, pool.labels, n_classes=pool.n_classes, seed=pool.seed, **head).drawn
    return np.maximum(_entropy(drawn.mean(axis=0)) - _entropy(drawn).mean(axis=0), 0) / np.log(pool.n_classes)


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-12))).sum(axis=-1)
