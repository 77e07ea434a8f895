"""How sure a classifier should be, from validation labels of which some are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from ssl_robust.probes.soft import softmax

_TINY = 1e-7  # a classifier's zero, as float32 rounds it
_WIDEST = (-3.0, 3.0)  # natural logarithm of the sharpness
_STEPS = 61  # of the search for the right valley


@dataclass(frozen=True)
class Calibration:
    """What makes a classifier's probabilities true ones; the predicted classes stay as they are.

    Attributes:
        sharpness: factor of the logarithms of the probabilities, the inverse of a temperature; 1 = as they were.
        n: labels that it was fitted to; 0: none.
    """

    sharpness: float
    n: int

    @classmethod
    def read(cls, values: Any) -> Calibration:
        """The node `calibration` of a classifier's card; without one, the classifier is taken at its word.

        Raises:
            ValueError: the node is broken.
        """
        if values is None:
            return cls(1.0, 0)
        fits = isinstance(values, Mapping) and _is_positive(values.get("sharpness"))
        if not fits or not isinstance(values.get("n"), int):
            raise ValueError("has an impossible calibration")
        return cls(float(values["sharpness"]), values["n"])

    def as_record(self) -> dict[str, Any]:
        """For a card."""
        return asdict(self)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, K) probabilities as a classifier gives them -> (N, K) float64, rows sum to one."""
        return softmax(self.sharpness * _log(probabilities))


def fit_calibration(
    probabilities: np.ndarray, given: np.ndarray, transition: np.ndarray, *, pull: float
) -> Calibration:
    """The sharpness under which labels as given are most likely.

    A temperature (Guo et al. 2017, arXiv 1706.04599, section 4.2) that is fitted to wrong labels learns to be unsure:
    even the best classifier is right on those only as often as they are. So the noise stands between the two,
    p(given | x) = sum over true of p(true | x) T[true, given] (Patrini et al. 2017, arXiv 1609.03683).

    A classifier of strategy=balanced answers as if all classes were equally frequent. No factor brings the true
    frequencies back without another class being predicted, so that its probabilities of rare classes stay too high.

    Args:
        probabilities: (N, K) of samples that were not trained on; rows sum to one.
        given: (N,) ints in [0, K), some of them wrong.
        transition: (K, K) T[true, given], rows sum to one; the identity where no label is wrong.
        pull: price of log(sharpness)^2, in units of log-likelihood: few labels change little.

    Raises:
        ValueError: lengths or numbers of classes differ (the message states both).
    """
    n, n_classes = probabilities.shape
    if given.shape != (n,) or transition.shape != (n_classes, n_classes):
        raise ValueError(f"probabilities {probabilities.shape}, labels {given.shape} and a matrix {transition.shape}; "
                         "expected (N, K), (N,) and (K, K)")  # fmt: skip
    if n == 0:
        return Calibration(1.0, 0)
    scores, columns = _log(probabilities), transition[:, given].T

    def loss(logarithm: float) -> float:
        likelihood = (softmax(np.exp(logarithm) * scores) * columns).sum(axis=1)
        return pull * logarithm**2 - float(np.log(np.maximum(likelihood, _TINY)).sum())

    # With noise the likelihood may have two valleys: the better one is found on a grid, its bottom between its sides.
    grid = np.linspace(*_WIDEST, _STEPS)
    best = int(np.argmin([loss(each) for each in grid]))
    sides = (grid[max(0, best - 1)], grid[min(_STEPS - 1, best + 1)])
    found = minimize_scalar(loss, bounds=sides, method="bounded", options={"xatol": 1e-4})
    return Calibration(float(np.exp(found.x)), n)  # type: ignore[attr-defined]


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), _TINY))


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < np.inf
