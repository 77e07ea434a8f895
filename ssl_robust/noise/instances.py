"""Noise that hangs on what a scan looks like: every sample has a rate of its own and a class that it is taken for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

_BLOCK = 1024  # samples looked at together


@dataclass(frozen=True)
class InstanceDependent:
    """The noise of Xia et al. 2020, arXiv 2006.07836, algorithm 2.

    Two deviations: the mean of the *cut* normal distribution is the rate asked for (the paper's own would make 10 %
    really 13 %), and a sample's features are standardised by themselves, so that neither its brightness nor the other
    samples say what it is taken for.

    Attributes:
        rate: mean probability of a wrong label.
        std: of the normal distribution of the samples' rates before it is cut to [0, 1].
        side: scans are shrunk to side x side pixels.
        n_classes: K.
    """

    rate: float
    std: float
    side: int
    n_classes: int

    def rates(self, uniform: np.ndarray) -> np.ndarray:
        """(N,) uniform numbers -> (N,) rates q: the truncated normal distribution with mean `rate` (line 1).

        Larger for a larger `rate`, whatever the number.
        """
        from scipy.optimize import brentq
        from scipy.stats import truncnorm

        if self.rate == 0:
            return np.zeros(len(uniform))

        def cut(loc: float) -> tuple[float, float, float, float]:
            return -loc / self.std, (1 - loc) / self.std, loc, self.std

        # Far in its tail the cut distribution is an exponential one with mean std^2 / |loc|.
        low, high = -self.std - self.std**2 / self.rate, 1 + self.std + self.std**2 / (1 - self.rate)
        loc = brentq(lambda each: float(truncnorm.mean(*cut(each))) - self.rate, low, high)  # type: ignore[arg-type]
        return truncnorm.ppf(uniform, *cut(loc))  # type: ignore[arg-type]

    def wrong(self, code: int, vectors: np.ndarray, rates: np.ndarray, *, seed: int) -> np.ndarray:
        """Probabilities of the other classes for samples of one class (lines 4 to 7).

        Args:
            code: the class.
            vectors: (n, D) from `standardised`.
            rates: (n,) q.
            seed: of the projections W_y (D, K), one for each true class.

        Returns:
            (n, K): q softmax(x W_y) over the other classes, 0 for the class itself.
        """
        drawn = hashlib.blake2b(f"{seed}/projection/{code}".encode(), digest_size=16).digest()
        rng = np.random.default_rng(int.from_bytes(drawn, "little"))
        scores = vectors.astype(np.float64) @ rng.standard_normal((vectors.shape[1], self.n_classes))
        scores[:, code] = -np.inf
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return rates[:, None] * weights / weights.sum(axis=1, keepdims=True)

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """Vectors (n, D) or scans (n, S, S, C) -> (n, D) float32, each row with mean 0 and standard deviation 1.

        Raises:
            ValueError: another shape, or a number that is not finite.
        """
        if features.ndim not in (2, 4):
            raise ValueError(f"expected features as (N, D) or (N, S, S, C), got shape {features.shape}")
        found = []
        for start in range(0, max(1, len(features)), _BLOCK):
            block = np.asarray(features[start : start + _BLOCK], dtype=np.float64)
            block = block if block.ndim == 2 else _shrink(block, self.side)
            block -= block.mean(axis=1, keepdims=True)
            found.append((block / np.maximum(block.std(axis=1, keepdims=True), 1e-12)).astype(np.float32))
        vectors = np.concatenate(found)
        if not np.isfinite(vectors).all():
            row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise ValueError(f"row {row} of features holds NaN or infinity; expected finite numbers")
        return vectors


def _shrink(scans: np.ndarray, side: int) -> np.ndarray:
    """(n, S, S, C) -> (n, side * side * C), the mean of each patch; as it is where S is less."""
    side = min(side, scans.shape[1])
    edges = np.arange(side) * scans.shape[1] // side
    sizes: np.ndarray = np.diff([*edges, scans.shape[1]])
    sums = np.add.reduceat(np.add.reduceat(scans, edges, axis=1), edges, axis=2)
    return (sums / np.multiply.outer(sizes, sizes)[..., None]).reshape(len(scans), -1)
