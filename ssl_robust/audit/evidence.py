"""What a score may look at: one labelled set seen through one encoder, every part computed once and when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ssl_robust.audit.conflicts import settle_conflicts
from ssl_robust.neighbors import UnitRows
from ssl_robust.noise.opinion import Opinion, form_opinion
from ssl_robust.probes.soft import softmax
from ssl_robust.records import Neighbors


@dataclass(frozen=True)
class Evidence:
    """Row i of everything is the same labelled sample.

    Attributes:
        unit: N vectors as a cosine sees them.
        labels: (N,) ints in [0, n_classes), as given (perhaps wrong).
        groups: (N,) ints from 0; samples of one group (one patient and its duplicates) do not vouch for each other.
        n_classes: K.
        neighbors: (N, k) of other groups.
        seed: of folds and landmarks.
        probe: the node `probe` of configs/_opinion.yaml.
        noise_model: the node `noise_model` of configs/_opinion.yaml.
        pictures: (N,) codes from 0 of samples that show one picture, -1 for the others; None: no two do.
        dynamics: what training runs recorded of each sample, arrays with N rows by name; empty without a run.
    """

    unit: UnitRows
    labels: np.ndarray
    groups: np.ndarray
    n_classes: int
    neighbors: Neighbors
    seed: int
    probe: dict[str, Any] = field(default_factory=dict)
    noise_model: dict[str, Any] = field(default_factory=dict)
    pictures: np.ndarray | None = None
    dynamics: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def opinion(self) -> Opinion:
        """What probes and the noise matrix make of each label."""
        formed = form_opinion(
            self.unit, self.labels, self.groups, n_classes=self.n_classes, probe=self.probe,
            noise_model=self.noise_model, seed=self.seed, pictures=self.pictures,
        )  # fmt: skip
        return formed if self.pictures is None else settle_conflicts(formed, self.labels, self.pictures)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(N, K) out-of-fold class probabilities of the labels as given, groups never on both sides: the straight
        logistic regression's."""
        return softmax(self.opinion.views[1])
