"""A plain classifier on fixed vectors that is fitted again and again while labels change.

A logistic regression on principal axes with classes weighted alike. The axes hang on the vectors alone and are found
once, so that a fit takes a fraction of a second: simulations make thousands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_robust.neighbors import UnitRows
from ssl_robust.probes.coordinates import linear_coordinates
from ssl_robust.probes.folds import grouped_folds
from ssl_robust.probes.soft import fit_weights, softmax


@dataclass(frozen=True)
class Probe:
    """What a fit needs of N scans to learn from, and of M others.

    Attributes:
        seen: (N + M, d) float32 coordinates, those of the others last.
        variances: (d,) of the coordinates.
        folds: (N,) ints from 0, patients whole.
        penalty: of the squared weights, in units of samples.
    """

    seen: np.ndarray
    variances: np.ndarray
    folds: np.ndarray
    penalty: float

    @classmethod
    def of(
        cls, vectors: np.ndarray, groups: np.ndarray, settings: Mapping[str, Any], *, seed: int,
        others: np.ndarray | None = None,
    ) -> Probe:  # fmt: skip
        """Find the axes.

        Args:
            vectors: (N, D).
            groups: (N,) ints from 0 without gaps.
            settings: the node `classifier` of configs/relabel.yaml.
            seed: of the folds.
            others: (M, D) held-out vectors.
        """
        unit = UnitRows(vectors if others is None else np.concatenate([vectors, others]))
        axes = linear_coordinates(unit, np.arange(len(vectors)), n_coordinates=settings["coordinates"])
        # Folds are the same whatever the labels become, or policies would be compared on different ones.
        folds = grouped_folds(np.zeros(len(groups), dtype=int), groups, n_folds=settings["folds"], seed=seed)
        return cls(axes.of(unit.take(slice(None))), axes.variances, folds, settings["penalty"])

    def out_of_fold(self, labels: np.ndarray, *, n_classes: int) -> np.ndarray:
        """(N,) labels -> (N, K) p(class | scan) by the model that was fitted without the scan's patient."""
        found = np.empty((len(labels), n_classes), dtype=np.float32)
        for fold in range(int(self.folds.max()) + 1):
            inside, outside = np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold)
            found[outside] = self._predict(self._fit(inside, labels[inside], n_classes), outside)
        return found

    def held_out(self, labels: np.ndarray, *, n_classes: int) -> np.ndarray:
        """(N,) labels -> (M, K) p(class | scan) of the others."""
        n = len(self.folds)
        return self._predict(self._fit(np.arange(n), labels, n_classes), np.arange(n, len(self.seen)))

    def _fit(self, rows: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
        sizes = np.bincount(labels, minlength=n_classes)
        alike = len(labels) / (np.count_nonzero(sizes) * np.maximum(sizes, 1))
        return fit_weights(self.seen[rows], self.variances, np.eye(n_classes)[labels], alike[labels], self.penalty)

    def _predict(self, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return softmax(self.seen[rows] @ weights[:-1] + weights[-1])
