"""Increasing maps of unbounded scores into [0, 1].

Rational and not exponential: scores stay apart in six decimals up to a thousand, a logistic curve is flat from 15 on.
"""

from __future__ import annotations

import numpy as np


def from_positive(values: np.ndarray) -> np.ndarray:
    """[0, inf] -> [0, 1] by v / (1 + v).

    Args:
        values: (N,) float, not negative; NaN stays NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    return 1 - 1 / (1 + values)  # also for infinity, where v / (1 + v) is none


def from_signed(values: np.ndarray) -> np.ndarray:
    """[-inf, inf] -> [0, 1] by (1 + v / (1 + |v|)) / 2; zero becomes one half.

    Args:
        values: (N,) float; NaN stays NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    return (1 + np.copysign(from_positive(np.abs(values)), values)) / 2
