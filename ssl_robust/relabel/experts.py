"""Simulated experts: whoever is asked knows the truth more or less, and every time of asking is charged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ssl_robust.targets import resolve


class Expert(Protocol):
    """Who answers. A loop cannot tell a simulated expert from the answers of a person."""

    @property
    def charged(self) -> int:
        """Answers given so far, also those that were unsure or told nothing new."""
        ...

    def answer(self, rows: Sequence[int]) -> list[int | None]:
        """One class a scan, None where unsure, in the order asked.

        Args:
            rows: scans, of which one may come several times.
        """
        ...


class Perfect:
    """Says the truth, one charge each.

    Args:
        truth: (N,) ints.
        n_classes: K.
        seed: of nothing here.
        unsure: share of the scans of which it is unsure whenever asked.
    """

    def __init__(self, truth: np.ndarray, *, n_classes: int, seed: int, unsure: float) -> None:
        self.charged = 0
        self._truth = truth
        self._unsure = np.random.default_rng(seed).random(len(truth)) < unsure

    def answer(self, rows: Sequence[int]) -> list[int | None]:
        """The true classes."""
        self.charged += len(rows)
        return [None if self._unsure[row] else int(self._truth[row]) for row in rows]


class Noisy:
    """Draws answers from p(answer | true class) until one class has been said often enough; each draw is charged.

    Bernhardt et al. 2022 (Nature Communications 13:1161, algorithm 1) fetch labels until there is a majority.

    Args:
        truth: (N,) ints.
        n_classes: K.
        seed: of the draws.
        accuracy: p(answer = true class); what is left is spread over the other classes.
        matrix: (K, K) p(answer | true class) in its place, a row per class; None: by `accuracy`.
        majority: times that a class must be said.
        most: draws for one scan, after which the expert is unsure.
    """

    def __init__(
        self, truth: np.ndarray, *, n_classes: int, seed: int, accuracy: float, matrix: Sequence[Sequence[float]] | None,
        majority: int, most: int,
    ) -> None:  # fmt: skip
        self.charged = 0
        self._truth, self._majority, self._most = truth, majority, most
        self._rng = np.random.default_rng(seed)
        others = (1 - accuracy) / max(1, n_classes - 1)
        even = np.full((n_classes, n_classes), others) + (accuracy - others) * np.eye(n_classes)
        self._chances = even if matrix is None else np.asarray(matrix, dtype=np.float64)
        if self._chances.shape != (n_classes, n_classes) or not np.allclose(self._chances.sum(axis=1), 1):
            raise ValueError(f"the expert's matrix has the shape {self._chances.shape}; expected "
                             f"{n_classes} rows of {n_classes} numbers that sum to one")  # fmt: skip

    def answer(self, rows: Sequence[int]) -> list[int | None]:
        """The first class of each scan that gets a majority."""
        return [self._settled(int(self._truth[row])) for row in rows]

    def _settled(self, true_class: int) -> int | None:
        said = np.zeros(len(self._chances), dtype=int)
        for _ in range(self._most):
            self.charged += 1
            drawn = int(self._rng.choice(len(said), p=self._chances[true_class]))
            said[drawn] += 1
            if said[drawn] == self._majority:
                return drawn
        return None


def make_expert(settings: Mapping[str, Any], truth: np.ndarray, *, n_classes: int, seed: int) -> Expert:
    """The expert of a node `expert` of the configuration.

    Args:
        settings: the node.
        truth: (N,) ints.
        n_classes: K.
        seed: of what it draws.

    Raises:
        UserError: it is no expert of ours.
        ValueError: a value does not fit.
    """
    values = {name: value for name, value in settings.items() if name != "_target_"}
    return resolve("expert", settings)(truth, n_classes=n_classes, seed=seed, **values)
