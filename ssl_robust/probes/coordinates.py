"""Vectors as a probe sees them: few coordinates without correlation, so that a fit takes a handful of steps.

Two kinds. Linear: the standardised vectors. Kernel: similarities to some landmarks, exp(gamma (cosine - 1)) (Nyström's
approximation, Williams & Seeger 2001), with which a linear model draws curved borders. Both are turned onto their own
principal axes; the variance along an axis tells the fit how far to step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ssl_robust.neighbors import UnitRows

_BLOCK = 8192  # rows looked at together
_FLAT = 1e-6  # a direction with a smaller share of the largest eigenvalue carries rounding errors


@dataclass(frozen=True)
class Coordinates:
    """An affine image of features of the rows.

    Attributes:
        features: (n, D) unit rows -> (n, F).
        mean: (F,) of the features.
        axes: (F, d).
        variances: (d,) of the coordinates.
    """

    features: Callable[[np.ndarray], np.ndarray]
    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """(n, D) unit rows -> (n, d) float32 coordinates."""
        return (self.features(rows) - self.mean) @ self.axes


def linear_coordinates(unit: UnitRows, fitted_on: np.ndarray, *, n_coordinates: int) -> Coordinates:
    """The principal axes of the standardised vectors.

    Args:
        unit: N vectors.
        fitted_on: rows that are standardised and whose axes are taken.
        n_coordinates: axes kept, at most D.
    """
    mean, covariance = _moments(unit, lambda rows: rows, fitted_on)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale = np.where(deviation > _FLAT * deviation.max(initial=0), 1 / np.maximum(deviation, 1e-30), 0)
    variances, axes = _principal(covariance * np.outer(scale, scale), n_coordinates)
    turned = (scale[:, None] * axes).astype(np.float32)
    return Coordinates(lambda rows: rows, mean.astype(np.float32), turned, variances)


def kernel_coordinates(unit: UnitRows, landmarks: np.ndarray, fitted_on: np.ndarray, *, gamma: float) -> Coordinates:
    """The principal axes of the similarities to landmarks.

    Args:
        unit: N vectors.
        landmarks: rows that others are compared with.
        fitted_on: rows whose mean and axes are taken.
        gamma: how quickly similarity falls; 0 = not at all.
    """
    shown = unit.take(landmarks)

    def similarities(rows: np.ndarray) -> np.ndarray:
        return np.exp(gamma * (rows @ shown.T - 1))

    values, vectors = _principal(similarities(shown), len(landmarks))
    whiten = (vectors / np.sqrt(values)).astype(np.float32)
    mean, covariance = _moments(unit, similarities, fitted_on)
    variances, axes = _principal(whiten.T @ covariance @ whiten, len(landmarks))
    return Coordinates(similarities, mean.astype(np.float32), (whiten @ axes).astype(np.float32), variances)


def _moments(
    unit: UnitRows, features: Callable[[np.ndarray], np.ndarray], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the features of some rows, block by block."""
    total: np.ndarray | float = 0.0
    products: np.ndarray | float = 0.0
    # Rows that nearly point one way differ by less than their squares are rounded: what is near the mean comes off.
    origin = features(unit.take(rows[:_BLOCK])).mean(axis=0)
    for start in range(0, len(rows), _BLOCK):
        block = features(unit.take(rows[start : start + _BLOCK])) - origin
        total = total + block.sum(axis=0, dtype=np.float64)
        products = products + (block.T @ block).astype(np.float64)
    mean = np.asarray(total) / len(rows)
    return mean + origin, np.asarray(products) / len(rows) - np.outer(mean, mean)


def _principal(matrix: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and vectors, the largest first, without those that are rounding errors."""
    values, vectors = np.linalg.eigh(np.asarray(matrix, dtype=np.float64))
    kept = np.argsort(-values, kind="stable")[:most]
    kept = kept[values[kept] > _FLAT * max(values.max(initial=0), 1e-30)]
    return values[kept], vectors[:, kept]
