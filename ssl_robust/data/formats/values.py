"""Measured values (Hounsfield units, floats, 12 bits in 16) -> the full range of 16 bits, by one stated window."""

from __future__ import annotations

import numpy as np

from ssl_robust.data.formats.rules import Rules

_TOP = 65535


def windowed(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """`low` becomes 0, `high` 65535, what lies beyond is cut off.

    Args:
        values: any shape, integers or floats; NaN becomes `low`.
        low: smallest value that is told apart.
        high: largest one, above `low`.

    Returns:
        uint16 of the same shape.
    """
    wide = values.astype(np.result_type(values.dtype, np.float32))  # 32 bits and more lose steps in a float32
    with np.errstate(over="ignore", invalid="ignore"):  # a window narrower than floats can tell
        scaled = (wide.clip(low, high) - wide.dtype.type(low)) * wide.dtype.type(_TOP / (high - low))
    return np.rint(np.nan_to_num(scaled, nan=0.0)).clip(0, _TOP).astype(np.uint16)


def limits(
    values: np.ndarray, rules: Rules, *, told: tuple[float, float] | None, full: tuple[float, float] | None
) -> tuple[float, float]:
    """The lowest and the highest value that count, by the rules of the set.

    Args:
        values: all values of the file (or volume), for percentiles.
        rules: `window` decides.
        told: what the file itself says should be shown; None where it says nothing.
        full: what it could hold; None for floats, which have no end.

    Returns:
        (low, high) with low < high, also where all values are the same.

    Raises:
        ValueError: no value is a number.
    """
    if isinstance(rules.window, tuple):
        return rules.window
    if rules.window == "auto" and told is not None and told[0] < told[1]:
        return told
    if full is not None and rules.window != "percentiles":
        return full
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size == 0:
        raise ValueError("holds no finite value")
    low, high = np.percentile(finite, rules.percentiles)
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    return (float(low), float(high)) if low < high else (float(low), float(low) + max(1.0, abs(float(low)) * 1e-6))
