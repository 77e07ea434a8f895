"""Scans whose classes are easy to tell, some of them mislabelled, as samplers and simulations see them."""

import numpy as np

from ssl_robust.relabel.sampler import Pool
from ssl_robust.relabel.simulate import Known, Trial
from ssl_robust.settings import defaults

K = 3
SETTINGS = {
    **defaults("", "_opinion"),
    **defaults("", "_relabel"),
    "expert": defaults("expert", "perfect"),
    "level": 0.9,
}


def scans(n=240, *, seed=0, spread=0.25, share=0.2):
    """-> what is known, the truth, labels of which a share is wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, n)
    vectors = (np.eye(K, 8)[truth] + spread * rng.normal(size=(n, 8))).astype(np.float32)
    given = np.where(rng.random(n) < share, (truth + rng.integers(1, K, n)) % K, truth)
    return Known(vectors, np.arange(n), np.full(n, -1)), truth, given


def pool(known, labels, *, answered=(), wanted=20, seed=0):
    """A pool in which some rows have been answered."""
    done = np.zeros(len(labels), dtype=bool)
    done[list(answered)] = True
    return Pool(labels, labels, done, known, K, wanted, seed, SETTINGS)


def trial(n=240, **options):
    """A set to simulate on, a third of it held out."""
    known, truth, given = scans(n, **options)
    pooled = np.arange(n) < 2 * n // 3
    return Trial.of(
        known.vectors, truth, given, known.groups, known.clusters, pool=np.flatnonzero(pooled),
        others=np.flatnonzero(~pooled), n_classes=K, settings=SETTINGS, seed=0,
    )  # fmt: skip
