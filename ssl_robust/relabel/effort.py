"""Curves of a campaign -> how many answers something took."""

from __future__ import annotations

import numpy as np


def answers_to_halve(curve: np.ndarray) -> float:
    """(n, 2) answers and labels wrong -> answers until half of the errors are gone; NaN: never."""
    reached = curve[:, 1] <= curve[0, 1] / 2
    return float(curve[int(reached.argmax()), 0]) if reached.any() else np.nan


def answers_to_reach(answers: np.ndarray, values: np.ndarray, goal: float) -> float:
    """The answers at which a rising curve passes a goal, straight between its points; NaN: never, or
    nothing was measured.

    A measure on few scans goes up and down by chance, and its first time above a goal is luck; so the rising curve
    nearest to it is taken (isotonic regression, Barlow et al. 1972).

    Args:
        answers: (n,) ascending.
        values: (n,).
        goal: value to reach; NaN where nothing was measured.
    """
    if np.isnan(goal):
        return np.nan
    from sklearn.isotonic import IsotonicRegression

    rising = IsotonicRegression().fit_transform(answers, values)
    reached = rising >= goal
    if not reached.any():
        return np.nan
    at = int(reached.argmax())
    if at == 0:
        return float(answers[0])
    step = (goal - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(answers[at - 1] + step * (answers[at] - answers[at - 1]))
