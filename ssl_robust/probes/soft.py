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
    """One family of logistic regressions, each fitted without the fold that it judges.

    Args:
        unit: N vectors.
        coordinates: how a fit sees them.
        folds: (N,) ints from 0.
        fitted_on: rows, ascending, that may be fitted to; the others are only predicted.
        counts: (n,) how many samples each of these stands for.
    """

    unit: UnitRows
    coordinates: Coordinates
    folds: np.ndarray
    fitted_on: np.ndarray
    counts: np.ndarray
    _kept: np.ndarray = field(init=False, repr=False)
    _place: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._kept = np.concatenate(
            [self.coordinates.of(self.unit.take(self.fitted_on[start : start + _BLOCK])) for start in self._blocks()]
        )
        self._place = np.full(len(self.unit), -1)
        self._place[self.fitted_on] = np.arange(len(self.fitted_on))

    def _blocks(self) -> range:
        return range(0, len(self.fitted_on), _BLOCK)

    def out_of_fold(self, targets: np.ndarray, *, penalty: float) -> np.ndarray:
        """The probability of each class as seen by the model that was fitted without the sample's fold.

        Args:
            targets: (N, K) shares of the classes, rows sum to one.
            penalty: of the squared weights of the coordinates, in units of samples.

        Returns:
            (N, K) float32, rows sum to one.
        """
        found = np.empty(targets.shape, dtype=np.float32)
        for fold in range(int(self.folds.max()) + 1):
            self._predict(self._model(fold, targets, penalty), np.flatnonzero(self.folds == fold), found)
        return found

    def _model(self, without: int, targets: np.ndarray, penalty: float) -> np.ndarray:
        """Weights (d + 1, K) of the model that is fitted without a fold."""
        inside = self.folds[self.fitted_on] != without
        shares = targets[self.fitted_on[inside]]
        return fit_weights(self._kept[inside], self.coordinates.variances, shares, self.counts[inside], penalty)

    def _predict(self, weights: np.ndarray, rows: np.ndarray, found: np.ndarray) -> None:
        """Fill in the probabilities of some rows."""
        place = self._place[rows]
        for at in (np.flatnonzero(place >= 0), np.flatnonzero(place < 0)):
            for start in range(0, len(at), _BLOCK):
                block = at[start : start + _BLOCK]
                known = place[block[0]] >= 0
                seen = self._kept[place[block]] if known else self.coordinates.of(self.unit.take(rows[block]))
                found[rows[block]] = softmax(seen @ weights[:-1] + weights[-1])


def softmax(scores: np.ndarray) -> np.ndarray:
    """(N, K) any numbers -> probabilities, rows sum to one."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    raised /= raised.sum(axis=1, keepdims=True)
    return raised


def fit_weights(
    seen: np.ndarray, variances: np.ndarray, targets: np.ndarray, counts: np.ndarray, penalty: float
) -> np.ndarray:
    """The weights (d + 1, K) that minimise cross-entropy + penalty / 2 |weights|^2, the last row free.

    Coordinates are divided by the root of their expected curvature: the problem becomes round, and L-BFGS takes five
    steps where it takes a hundred otherwise.
    """
    n, n_classes = targets.shape
    curvature = max(n, 1) * _CURVATURE  # of no rows at all there is nothing to learn: all classes are equally likely
    scale = np.sqrt(curvature * variances + penalty).astype(np.float32)
    constant = np.float32(1 / np.sqrt(curvature))
    scaled = np.hstack([seen / scale, np.full((n, 1), constant, dtype=np.float32)])
    # Classes come first: sums over few classes are several times faster along long rows.
    shares, often = np.ascontiguousarray(targets.T, dtype=np.float32), counts.astype(np.float32)
    pull = np.append(penalty / scale**2, 0).astype(np.float32)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(n_classes, -1).astype(np.float32)
        scores = weights @ scaled.T
        scores -= scores.max(axis=0)
        raised = np.exp(scores)
        totals = raised.sum(axis=0)
        value = -float((often * shares * (scores - np.log(totals))).sum(dtype=np.float64))
        gradient = (often * (raised / totals - shares)) @ scaled + pull * weights
        return value + 0.5 * float((pull * weights**2).sum()), gradient.ravel().astype(np.float64)

    begin = np.zeros(scaled.shape[1] * n_classes)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 8, "ftol": 1e-5})
    weights = found.x.reshape(n_classes, -1).T.astype(np.float32)
    return weights / np.append(scale, 1 / constant)[:, None]
