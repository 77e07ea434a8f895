"""What features are put through: nearest neighbours, logistic regression on all labels, and on few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.probes import knn_predict, logistic_probe
from ssl_robust.transfer.draws import draw_few, scarce


@dataclass(frozen=True)
class Problem:
    """What is fitted to and what is measured.

    Attributes:
        train: (n,) rows that classifiers are fitted to.
        test: (m,) rows that they are measured on; of other patients.
        given: (N,) codes to fit to, perhaps wrong ones; known in `train`.
        truth: (N,) codes to measure against; known in `test`.
        groups: (N,) patient codes.
        n_classes: K.
    """

    train: np.ndarray
    test: np.ndarray
    given: np.ndarray
    truth: np.ndarray
    groups: np.ndarray
    n_classes: int

    def __post_init__(self) -> None:
        shared = np.intersect1d(self.groups[self.train], self.groups[self.test])
        if len(shared):
            raise ValueError(
                f"{len(shared)} groups have samples in train and in test, so that the test would flatter; "
                "give each group one split"
            )


@dataclass(frozen=True)
class Protocol:
    """One way to use labels.

    Attributes:
        name: "knn", "logistic", or "few 1%".
        fitted_to: the rows of each draw; one draw where all labels are used.
        share: of the training labels.
        scarce: (n,) classes of which the share is less than one scan.
    """

    name: str
    fitted_to: Sequence[np.ndarray]
    share: float
    scarce: np.ndarray

    def describe(self, problem: Problem) -> dict[str, Any]:
        """Facts for a report: how many scans and patients each draw has."""
        return {
            "name": self.name,
            "share": self.share,
            "n_scans": [len(rows) for rows in self.fitted_to],
            "n_patients": [len(np.unique(problem.groups[rows])) for rows in self.fitted_to],
            "scarce": self.scarce,
        }


def group_codes(patients: Any, ids: Any) -> np.ndarray:
    """(N,) group codes by the names of the patients, so that no draw depends on the order of the samples.

    Args:
        patients: (N,) names of any kind; a sample of an unknown patient is a group of its own.
        ids: (N,) names of the samples.
    """
    given = pd.Series(np.asarray(patients, dtype=object))
    names = ("patient " + given.astype(str)).where(given.notna(), [f"sample {each}" for each in ids])
    return np.unique(names.to_numpy(dtype=str), return_inverse=True)[1]


def few_name(share: float) -> str:
    """0.01 -> "few 1%"."""
    return f"few {100 * share:g}%"


def make_protocols(problem: Problem, *, few_labels: Sequence[float], few_draws: int, seed: int) -> list[Protocol]:
    """kNN and logistic regression on all training labels, then logistic regression on each share of few.

    Args:
        problem: what is fitted to.
        few_labels: shares in (0, 1).
        few_draws: draws of each share.
        seed: of the draws.
    """
    none = np.empty(0, dtype=np.int64)
    made = [Protocol(name, [problem.train], 1.0, none) for name in ("knn", "logistic")]
    labels, groups = problem.given[problem.train], problem.groups[problem.train]
    for share in few_labels:
        draws = [problem.train[draw_few(labels, groups, share, seed=seed, draw=draw)] for draw in range(few_draws)]
        made.append(Protocol(few_name(share), draws, share, scarce(labels, share)))
    return made


def predict(
    vectors: np.ndarray, problem: Problem, protocol: Protocol, rows: np.ndarray, *, knn: Mapping[str, Any], seed: int
) -> np.ndarray:
    """Class probabilities of the test rows.

    Args:
        vectors: (N, D) features.
        problem: what is measured.
        protocol: how.
        rows: (n,) one draw of the protocol.
        knn: `k` and `temperature` of the vote.
        seed: of the folds in which the strength of the penalty is chosen.

    Returns:
        (m, K) float32, rows sum to one.
    """
    labels, test = problem.given[rows], vectors[problem.test]
    if protocol.name == "knn":
        return knn_predict(vectors[rows], labels, test, n_classes=problem.n_classes, **knn)
    return logistic_probe(
        vectors[rows], labels, test, n_classes=problem.n_classes, groups=problem.groups[rows], seed=seed
    )
