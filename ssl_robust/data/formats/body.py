"""How much of each slice of a volume is no background."""

from __future__ import annotations

import math

import numpy as np

_BINS = 256
_ENOUGH = 2**21  # values that tell dark from bright; of more, a grid of every n-th along each axis is looked at
_AIR = -1024.0  # HU; what lies below is no measured value but the filling round a scanner's circle


def shares(values: np.ndarray, axis: int) -> np.ndarray:
    """Volume -> (n,) share of each slice that is brighter than the background, in [0, 1].

    Background is what Otsu's threshold (1979, IEEE Trans. SMC 9(1), eq. 18) of the whole volume leaves below it: the
    air of CT (-1000 HU) and of MRI (noise near 0) alike. A volume of one value is all background.

    Args:
        values: measured ones; NaN is background.
        axis: along which the slices lie.
    """
    others = tuple(each for each in range(values.ndim) if each != axis)
    every = math.ceil(max(1.0, values.size / _ENOUGH) ** (1 / values.ndim))
    return (values > threshold(values[(slice(None, None, every),) * values.ndim])).mean(axis=others)


def threshold(values: np.ndarray) -> float:
    """Otsu's threshold between dark and bright; infinite where all values are the same.

    Metal and fat would pull it up and fillings down: values beyond the 0.5 % tails and below air are moved to the edge.
    """
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if finite.size == 0:
        return np.inf
    low, high = (float(each) for each in np.percentile(finite, (0.5, 99.5)))
    low = max(low, _AIR) if high > _AIR else low
    if low == high:  # nearly all of it is background; what is not is brighter
        return low if finite.max() > high else np.inf
    bins = (finite.clip(low, high) - low) * (_BINS / (high - low))
    counts = np.bincount(bins.astype(np.int64).clip(0, _BINS - 1), minlength=_BINS).astype(float)
    below, sums = counts.cumsum()[:-1], (counts * np.arange(_BINS)).cumsum()
    above = counts.sum() - below
    between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return low + (high - low) * (1 + int(between.argmax())) / _BINS
