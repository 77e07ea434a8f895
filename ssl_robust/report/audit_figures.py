"""The figures of an audit as numbers that its template draws: finds against effort, and the estimated confusion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 360, 190, 44, 36, 8  # of the drawing, in its own units
_SHOWN = 0.9  # share of the finds at which the curve ends: the rest is thinly spread over all labels


def expected_finds(effort: Sequence[Mapping[str, float]], n: int) -> float:
    """How many wrong labels are expected among the first `n`."""
    return float(np.interp(n, [each["n"] for each in effort], [each["found"] for each in effort]))


def effort_curve(effort: Sequence[Mapping[str, float]]) -> dict[str, Any] | None:
    """Cumulative expected finds -> a line with ticks; None where nothing is expected.

    Args:
        effort: `{"n", "found"}`, both rising, the last `n` being all labels.

    Returns:
        `points`, each `[n, found, x, y]` in the drawing; `line`, the same for an SVG; `chance`, the end of the line
        of a random order; `x_ticks` and `y_ticks`, each `(position, number)`; the drawing's measures.
    """
    if len(effort) < 2 or not effort[-1]["found"] > 0:
        return None
    total, n_all = effort[-1]["found"], effort[-1]["n"]
    end = next(i for i, each in enumerate(effort) if each["found"] >= _SHOWN * total)
    kept = effort[: max(end, 1) + 1]
    last, most = kept[-1]["n"], kept[-1]["found"]

    def x(n: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - 12) * n / last, 1)

    def y(found: float) -> float:
        return round(_HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * found / most, 1)

    points = [[int(each["n"]), round(each["found"], 3), x(each["n"]), y(each["found"])] for each in kept]
    return {
        "points": points,
        "line": " ".join(f"{x},{y}" for _, _, x, y in points),
        "chance": (x(last), y(total * last / n_all)),
        "x_ticks": [(x(each), each) for each in _ticks(last)],
        "y_ticks": [(y(each), each) for each in _ticks(most)],
        "width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "floor": _HEIGHT - _BOTTOM, "right": _WIDTH - 12,
    }  # fmt: skip


def heat_map(transition: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """T[true, given] with its interval -> rows of cells, each with a strength of color in [0, 0.6].

    Faint confusions are what one looks for, so that color follows the root of a share.
    """
    if transition is None:
        return None
    names = transition["classes"]
    rows = [
        {"name": name, "cells": [_cell(transition, true, given) for given in range(len(names))]}
        for true, name in enumerate(names)
    ]
    return {"classes": names, "rows": rows}


def _cell(transition: Mapping[str, Any], true: int, given: int) -> dict[str, Any]:
    value = transition["matrix"][true][given]
    return {
        "given": transition["classes"][given],
        "value": value,
        "low": transition["low"][true][given],
        "high": transition["high"][true][given],
        "right": true == given,
        "color": round((0.35 * value if true == given else 0.6 * math.sqrt(max(0, value))), 3),
    }


def _ticks(high: float) -> list[int]:
    """About five round numbers from 0 to `high`."""
    step = 10 ** math.floor(math.log10(max(high, 1)))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1, 2) if high / (step * part) <= 6)
    step = max(1, round(step))
    return list(range(0, int(high) + 1, step))
