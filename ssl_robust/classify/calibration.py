"""How sure a classifier should be, and for which class it is too ready, from labels of which some are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ssl_robust.probes.soft import softmax

_TINY = 1e-7  # a classifier's zero, as float32 rounds it
_WIDEST = (-3.0, 3.0)  # natural logarithm of the sharpness
_STEPS = 61  # of the search for the right valley


@dataclass(frozen=True)
class Calibration:
    """What makes a classifier's probabilities true ones.

    Attributes:
        sharpness: factor of the logarithms of the probabilities, the inverse of a temperature; 1 = as they were.
        n: labels that it was fitted to; 0: none.
        shifts: (K,) what is then added to the logarithm of each class; none: the predicted classes stay as they are.
    """

    sharpness: float
    n: int
    shifts: tuple[float, ...] = ()

    @classmethod
    def read(cls, values: Any) -> Calibration:
        """The node `calibration` of a classifier's card; without one, the classifier is taken at its word.

        Raises:
            ValueError: the node is broken.
        """
        if values is None:
            return cls(1.0, 0)
        fits = isinstance(values, Mapping) and _is_positive(values.get("sharpness"))
        if not fits or not isinstance(values.get("n"), int) or not _are_finite(values.get("shifts", ())):
            raise ValueError("has an impossible calibration")
        return cls(float(values["sharpness"]), values["n"], tuple(map(float, values.get("shifts", ()))))

    def as_record(self) -> dict[str, Any]:
        """For a card."""
        return asdict(self)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, K) probabilities as a classifier gives them -> (N, K) float64, rows sum to one."""
        shifts = np.array(self.shifts) if self.shifts else 0.0
        return softmax(self.sharpness * _log(probabilities) + shifts)


def fit_calibration(
    probabilities: np.ndarray, given: np.ndarray, transition: np.ndarray, *, pull: float,
    pull_shifts: float | None = None, offsets: np.ndarray | None = None,
) -> Calibration:  # fmt: skip
    """Sharpness, and shifts if asked for, under which labels as given are most likely.

    A temperature (Guo et al. 2017, arXiv 1706.04599, section 4.2) that is fitted to wrong labels learns to be unsure:
    even the best classifier is right on those only as often as they are. So the noise stands between the two,
    p(given | x) = sum over true of p(true | x) T[true, given] (Patrini et al. 2017, arXiv 1609.03683), with p(true | x)
    the softmax of sharpness log p + shifts + offsets. A network that learned from wrong labels may be too ready for one
    class; a shift for each class takes that back.

    A classifier of strategy=balanced answers as if all classes were equally frequent. So do the calibrated
    probabilities, those of rare classes too high: true frequencies would bring other classes to be predicted.

    Args:
        probabilities: (N, K) of samples that were not trained on; rows sum to one.
        given: (N,) ints in [0, K), some of them wrong.
        transition: (K, K) T[true, given], rows sum to one; the identity where no label is wrong.
        pull: price of log(sharpness)^2, in units of log-likelihood: few labels change little.
        pull_shifts: price of the sum of squared shifts; None: no shifts.
        offsets: (K,) what training added to the logits and prediction leaves away; None: nothing.

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
    added = np.zeros(n_classes) if offsets is None else offsets

    def loss(point: np.ndarray) -> float:
        logarithm, shifts = point[0], point[1:] if pull_shifts is not None else 0.0
        likelihood = (softmax(np.exp(logarithm) * scores + added + shifts) * columns).sum(axis=1)
        price = pull * logarithm**2 + (pull_shifts or 0.0) * float(np.square(shifts).sum())
        return price - float(np.log(np.maximum(likelihood, _TINY)).sum())

    # With noise the likelihood may have two valleys: the better one is found on a grid, its bottom from there.
    start = np.zeros(1 if pull_shifts is None else 1 + n_classes)
    grid = [np.concatenate([[each], start[1:]]) for each in np.linspace(*_WIDEST, _STEPS)]
    bounds = [_WIDEST] + [(None, None)] * (len(start) - 1)
    found = minimize(loss, min(grid, key=loss), method="L-BFGS-B", bounds=bounds).x
    return Calibration(float(np.exp(found[0])), n, tuple(map(float, found[1:])))


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), _TINY))


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < np.inf


def _are_finite(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(
        isinstance(each, int | float) and not isinstance(each, bool) and np.isfinite(each) for each in values
    )
