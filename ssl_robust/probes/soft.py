"""Logistic regression on soft labels, out of fold: what all other patients' labels make of a scan."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from ssl_robust.neighbors import UnitRows
from ssl_robust.probes.coordinates import Coordinates

_BLOCK = 8192  # rows predicted together
_CURVATURE = 0.15  # typical p (1 - p): scales the steps, not the solution
_STEPS = 30  # of L-BFGS: the predictions no longer move, measured on six embeddings


@dataclass
class SoftProbe:
    """One family of logistic regressions, one for each fold, refitted as the labels become clearer.

    Args:
        unit: N vectors.
        coordinates: how a fit sees them.
        folds: (N,) ints from 0.
        fitted_on: rows, ascending, that may be fitted to; the others are only predicted.
    """

    unit: UnitRows
    coordinates: Coordinates
    folds: np.ndarray
    fitted_on: np.ndarray
    _kept: np.ndarray = field(init=False, repr=False)
    _starts: dict[int, np.ndarray] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._kept = np.concatenate(
            [self.coordinates.of(self.unit.take(self.fitted_on[start : start + _BLOCK])) for start in self._blocks()]
        )

    def _blocks(self) -> range:
        return range(0, len(self.fitted_on), _BLOCK)

    def out_of_fold(self, targets: np.ndarray, *, penalty: float) -> np.ndarray:
        """The probability of each class as seen by the model that was fitted without the sample's fold.

        A call begins where the one before ended.

        Args:
            targets: (N, K) shares of the classes, rows sum to one.
            penalty: of the squared weights of the coordinates, in units of samples.

        Returns:
            (N, K) float32, rows sum to one.
        """
        found = np.empty(targets.shape, dtype=np.float32)
        folds = self.folds[self.fitted_on]
        models = []
        for fold in range(int(self.folds.max()) + 1):
            inside = folds != fold
            rows = self.fitted_on[inside]
            weights, self._starts[fold] = _fit(
                self._kept[inside], self.coordinates.variances, targets[rows], penalty, self._starts.get(fold)
            )
            models.append(weights)
            mine = np.flatnonzero(~inside)
            found[self.fitted_on[mine]] = softmax(self._kept[mine] @ weights[:-1] + weights[-1])
        self._predict_others(models, found)
        return found

    def _predict_others(self, models: list[np.ndarray], found: np.ndarray) -> None:
        """The rows that no model was fitted to, still each by the model that knows nothing of its fold."""
        others = np.setdiff1d(np.arange(len(self.unit)), self.fitted_on, assume_unique=True)
        for start in range(0, len(others), _BLOCK):
            rows = others[start : start + _BLOCK]
            seen = self.coordinates.of(self.unit.take(rows))
            for fold, weights in enumerate(models):
                mine = self.folds[rows] == fold
                found[rows[mine]] = softmax(seen[mine] @ weights[:-1] + weights[-1])


def softmax(scores: np.ndarray) -> np.ndarray:
    """(N, K) any numbers -> probabilities, rows sum to one."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _fit(
    seen: np.ndarray, variances: np.ndarray, targets: np.ndarray, penalty: float, start: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The weights (d + 1, K) that minimise cross-entropy + penalty / 2 |weights|^2, the last row free, and the start
    of the next fit.

    Coordinates are divided by the root of their expected curvature: the problem becomes round, and L-BFGS takes five
    steps where it takes a hundred otherwise.
    """
    n, n_classes = targets.shape
    curvature = max(n, 1) * _CURVATURE  # of no rows at all there is nothing to learn: all classes are equally likely
    scale = np.sqrt(curvature * variances + penalty).astype(np.float32)
    constant = np.float32(1 / np.sqrt(curvature))
    scaled = np.hstack([seen / scale, np.full((n, 1), constant, dtype=np.float32)])
    shares = targets.astype(np.float32)
    pull = np.append(penalty / scale**2, 0).astype(np.float32)[:, None]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, n_classes).astype(np.float32)
        scores = scaled @ weights
        scores -= scores.max(axis=1, keepdims=True)
        raised = np.exp(scores)
        totals = raised.sum(axis=1, keepdims=True)
        value = -float((shares * (scores - np.log(totals))).sum(dtype=np.float64))
        gradient = scaled.T @ (raised / totals - shares) + pull * weights
        return value + 0.5 * float((pull * weights**2).sum()), gradient.ravel().astype(np.float64)

    begin = np.zeros(scaled.shape[1] * n_classes) if start is None else start
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 8, "ftol": 1e-5})
    weights = found.x.reshape(-1, n_classes).astype(np.float32)
    return weights / np.append(scale, 1 / constant)[:, None], found.x
