"""The noise matrix under which the labels as given are most likely, from out-of-fold opinions that learned from them.

A label arises in two steps: the scan x has a true class, and T[true, given] is written down. So p(given | x) = sum over
true of p(true | x) T[true, given] (Patrini et al. 2017, arXiv 1609.03683, eq. 3). Of p(true | x) we have opinions that
are too weak, having learned from wrong labels: they are made sharper by a factor and shifted by a number for each
class, and both are fitted together with T. Labels that are wrong by accident make a floor which no ambiguity of a scan
explains; that tells noise from hard scans.

T is a background of errors, the same for all pairs of classes, plus few pairs that are confused more often. Alone, the
likelihood takes noise for ambiguity where classes overlap, so the noise of a class is drawn to that among the surest
scans of the class that can be told best, or to that of its own (`find_anchors`), whichever the labels speak for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ssl_robust.noise.anchors import Anchors
from ssl_robust.probes.soft import softmax

_MOST = 0.95  # background
_LIMITS = {"sharpness": (-3, 4), "shift": (-4, 4), "background": (-9, 5), "extra": (-9, 3)}


@dataclass(frozen=True)
class NoiseFit:
    """What the labels say about their noise.

    Attributes:
        transition: (K, K) T[true, given], rows sum to one.
        sharpness: factor of the opinions' logarithms.
        shifts: (K,) added to them.
        parameters: all of it as the fit sees it, a start for the next one.
    """

    transition: np.ndarray
    sharpness: float
    shifts: np.ndarray
    parameters: np.ndarray = field(repr=False)

    def true_classes(self, scores: np.ndarray) -> np.ndarray:
        """(N, K) logarithms of opinions -> p(true class | scan)."""
        return softmax(self.sharpness * _centred(scores) + self.shifts)

    def posterior(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N, K) p(true class | scan, label as given), by Bayes' rule."""
        joint = self.true_classes(scores) * self.transition[:, labels].T
        return joint / np.maximum(joint.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def fit_noise(
    scores: np.ndarray,
    labels: np.ndarray,
    anchors: Anchors,
    *,
    settings: Mapping[str, Any],
    start: NoiseFit | None = None,
) -> NoiseFit:
    """The noise matrix and the sharpness of opinions with the largest penalised likelihood of the given labels.

    Args:
        scores: (N, K) logarithms of out-of-fold opinions.
        labels: (N,) ints in [0, K).
        anchors: of the same opinions.
        settings: the node `noise_model` of configs/_opinion.yaml.
        start: an earlier fit of the same labels, near which the next lies; else three starts are tried.
    """
    n_classes = scores.shape[1]
    # Column by column in memory: sums over few classes are then several times faster.
    centred = np.asfortranarray(_centred(scores), dtype=np.float32)
    given = np.asfortranarray(np.eye(n_classes, dtype=np.float32)[labels])
    likelihood = _Likelihood(centred, given, anchors, settings)
    bounds = [_LIMITS["sharpness"], *[_LIMITS["shift"]] * n_classes, _LIMITS["background"]]
    bounds += [_LIMITS["extra"]] * (n_classes * (n_classes - 1))
    starts = [start.parameters] if start else _starts(anchors)
    if start is None:
        for each in starts:  # opinions as sharp as this noise lets them be, else noise is soon given up
            columns = _transition(each, n_classes)[0].astype(np.float32)[:, labels].T
            each[: n_classes + 1] = _sharpened(centred, columns, settings)
    steps = settings["steps"] if start is None else settings["steps_again"]
    options = {"maxiter": steps, "maxcor": 20}
    fits = [minimize(likelihood, each, jac=True, method="L-BFGS-B", bounds=bounds, options=options) for each in starts]
    best = min(fits, key=lambda each: each.fun).x
    return NoiseFit(_transition(best, n_classes)[0], float(np.exp(best[0])), best[1 : n_classes + 1], best)


def fit_sharpness(scores: np.ndarray, labels: np.ndarray, known: NoiseFit, *, settings: Mapping[str, Any]) -> NoiseFit:
    """Other opinions on the same labels: their sharpness and shifts, with the noise matrix as it is.

    Args:
        scores: (N, K) logarithms of the other opinions.
        labels: (N,) ints in [0, K).
        known: where the matrix is from.
        settings: as in `fit_noise`.
    """
    n_classes = scores.shape[1]
    found = _sharpened(_centred(scores), known.transition[:, labels].T, settings)
    parameters = np.append(found, known.parameters[n_classes + 1 :])
    return NoiseFit(known.transition, float(np.exp(found[0])), found[1:], parameters)


def _sharpened(scores: np.ndarray, columns: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """(1 + K,) logarithm of the sharpness and shifts under which labels are likeliest, given T[true, label] of each."""

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, residual = _explained(softmax(np.exp(flat[0]) * scores + flat[1:]), columns)
        gradient = np.append((residual * scores).sum() * np.exp(flat[0]), residual.sum(axis=0))
        pull, price = _pull(flat, settings)
        return price - float(np.log(value).sum()), pull - gradient

    n_classes = scores.shape[1]
    bounds = [_LIMITS["sharpness"], *[_LIMITS["shift"]] * n_classes]
    # Few labels can be explained by noise or by ambiguity: two optima, of which one start finds either.
    starts = [np.append(sharpness, np.zeros(n_classes)) for sharpness in (0.0, 1.0, 2.0)]
    options = {"maxiter": settings["steps"]}
    fits = [minimize(loss, each, jac=True, method="L-BFGS-B", bounds=bounds, options=options) for each in starts]
    return min(fits, key=lambda each: each.fun).x


@dataclass(frozen=True)
class _Likelihood:
    """Minus the penalised log-likelihood of the labels, and its gradient."""

    scores: np.ndarray
    given: np.ndarray  # (N, K) float32, 1 for the label
    anchors: Anchors
    settings: Mapping[str, Any]

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        n_classes = self.scores.shape[1]
        sharpness = np.exp(flat[0])
        transition, background, extra, even = _transition(flat, n_classes)
        opinions = softmax(np.float32(sharpness) * self.scores + flat[1 : n_classes + 1].astype(np.float32))
        value, residual = _explained(opinions, (transition.astype(np.float32) @ self.given.T).T)
        by_cell = ((opinions / value[:, None]).T @ self.given).astype(np.float64)
        prior, by_noise = self._prior(1 - np.diag(transition))
        by_cell[np.diag_indices(n_classes)] -= by_noise
        sparse, by_extra = self._sparse(extra)
        price_of_background, by_logit = _barrier(background)
        off = ~np.eye(n_classes, dtype=bool)
        slope = (1 - background) * by_cell
        slope[off] -= by_extra[off]
        slope = extra * (slope - (extra * slope).sum(axis=1, keepdims=True))
        share = background / _MOST
        by_background = (by_cell * (even - extra)).sum() * _MOST * share * (1 - share) + by_logit
        gradient = np.concatenate(
            [
                [float(np.vdot(residual, self.scores)) * sharpness],
                residual.sum(axis=0, dtype=np.float64),
                [by_background],
                slope[off],
            ]
        )
        pull, price = _pull(flat[: n_classes + 1], self.settings)
        gradient[: n_classes + 1] -= pull
        total = float(np.log(value).sum(dtype=np.float64)) + prior - sparse + price_of_background - price
        return -total, -gradient

    def _prior(self, noise: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-density of the noise of each class: near the common rate, or near that of its own anchors."""
        spread = max(self.settings["spread"], self.anchors.spread)
        common, own = noise - self.anchors.rate, noise - self.anchors.shares
        odds = self.settings["common"]
        first = -(common**2) / (2 * spread**2) + np.log(odds)
        second = -(own**2) / (2 * spread**2) + np.log(1 - odds)
        density = np.logaddexp(first, second)
        weight = np.exp(first - density)
        return float(density.sum()), -(weight * common + (1 - weight) * own) / spread**2

    def _sparse(self, extra: np.ndarray) -> tuple[float, np.ndarray]:
        """The price of pairs of classes that are confused more often than others: few of them, but freely those."""
        off = ~np.eye(len(extra), dtype=bool)
        small, price = self.settings["small"], self.settings["price"]
        return price * float(np.log1p(extra[off] / small).sum()), price / (small + extra)


def _explained(opinions: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) likelihood of each label, and (N, K) its logarithm's slope along the scores."""
    joint = opinions * columns
    value = np.maximum(joint.sum(axis=1), np.finfo(joint.dtype).tiny)
    return value, joint / value[:, None] - opinions


def _transition(flat: np.ndarray, n_classes: int) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """T, the background's rate, the confusions without it, and the background alone."""
    background = _MOST / (1 + np.exp(-flat[n_classes + 1]))
    logits = np.zeros((n_classes, n_classes))
    logits[~np.eye(n_classes, dtype=bool)] = flat[n_classes + 2 :]
    extra = softmax(logits)
    even = (1 - np.eye(n_classes)) / max(1, n_classes - 1)
    return (1 - background) * extra + background * even, float(background), extra, even


def _starts(anchors: Anchors) -> list[np.ndarray]:
    """Parameters for errors spread over all pairs of classes alike; or over those pairs that are seen among the surest
    scans, as often as the best class has them, or as often as each class has."""
    n_classes = len(anchors.shares)
    few = np.full(n_classes * (n_classes - 1), -6.0)
    common = np.minimum(anchors.shares, max(0.02, anchors.rate))
    seen = [_start(0.005, _confusions(anchors, noise)) for noise in (common, anchors.shares)]
    return [_start(max(0.02, anchors.rate), few), *seen]


def _confusions(anchors: Anchors, noise: np.ndarray) -> np.ndarray:
    """K (K - 1) logits of confusions like those among the surest scans, as many for each class as `noise` says."""
    noise = np.clip(noise, 1e-3, 0.8)
    scale = noise / np.maximum(anchors.shares, 1e-3) / (1 - noise)
    off = ~np.eye(len(noise), dtype=bool)
    return np.log(np.clip(anchors.labels * scale[:, None], 1e-3, 4))[off]


def _start(rate: float, extra: np.ndarray) -> np.ndarray:
    """Parameters with a background of this rate, and K (K - 1) logits of confusions beside it."""
    share = min(rate, 0.9) / _MOST
    n_classes = round((1 + np.sqrt(1 + 4 * len(extra))) / 2)
    return np.concatenate([[0.3], np.zeros(n_classes), [np.log(share / (1 - share))], extra])


def _barrier(background: float) -> tuple[float, float]:
    """Half a sample for errors and half against: the background is never quite zero; slope along its logit."""
    share = background / _MOST
    return 0.5 * float(np.log(share) + np.log1p(-share)), 0.5 * (1 - 2 * share)


def _pull(flat: np.ndarray, settings: Mapping[str, Any]) -> tuple[np.ndarray, float]:
    """The price of opinions made much sharper or shifted far, and its slope."""
    strength = np.append(settings["pull_sharpness"], np.full(len(flat) - 1, settings["pull_shift"]))
    return 2 * strength * flat, float((strength * flat**2).sum())


def _centred(scores: np.ndarray) -> np.ndarray:
    return scores - scores.mean(axis=1, keepdims=True)
