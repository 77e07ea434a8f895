"""What noise does to a curve of balanced accuracy: how fast it falls, and where it has fallen too far."""

from __future__ import annotations

import numpy as np

from ssl_robust.metrics import Interval


def drop_per_ten(rates: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Curves over noise rates -> (D,) balanced accuracy that is lost with every 10 points of noise, higher = worse.

    The least-squares line through all points; a curve that bends is described better by `rate_at`.

    Args:
        rates: (P,) shares of wrong labels, two or more different ones.
        curves: (P, D) balanced accuracy at each, in each draw.
    """
    centred = rates - rates.mean()
    return -0.1 * (centred @ curves) / (centred @ centred)


def rate_at(rates: np.ndarray, curves: np.ndarray, share: float) -> np.ndarray:
    """Curves over noise rates -> (D,) the rate at which each first falls to a share of its value on clean labels.

    Straight lines are drawn between the points.

    Args:
        rates: (P,) ascending from 0.
        curves: (P, D) balanced accuracy at each, in each draw.
        share: of the value at rate 0.

    Returns:
        Rates; infinite where the curve stays above it as far as it was measured.
    """
    limit = share * curves[0]
    below = curves <= limit
    place = np.maximum(below.argmax(axis=0), 1)  # the first point below; never the first of all, as share < 1
    columns = np.arange(curves.shape[1])
    above, under = curves[place - 1, columns], curves[place, columns]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (above - limit) / (above - under)
    found = rates[place - 1] + part * (rates[place] - rates[place - 1])
    return np.where(np.isnan(curves).any(axis=0), np.nan, np.where(below.any(axis=0), found, np.inf))


def rate_interval(draws: np.ndarray, level: float) -> Interval:
    """What was measured, then draws -> its interval, whose ends may be infinite, "not reached".

    Args:
        draws: (1 + R,) of `rate_at`.
        level: coverage.
    """
    drawn = draws[1:][~np.isnan(draws[1:])]
    if not len(drawn):
        return Interval(float(draws[0]), np.nan, np.nan)
    # An observed value each, since between a number and infinity nothing can be interpolated.
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(draws[0]), float(low), float(high))
