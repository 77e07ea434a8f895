"""What an encoder's features make of labels, for those who train on them: no true label has a part in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ssl_robust.neighbors import UnitRows
from ssl_robust.noise.opinion import Opinion, form_opinion
from ssl_robust.records import Believed


def believe(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_classes: int, settings: Mapping[str, Any],
    seed: int,
) -> Believed:  # fmt: skip
    """Features and labels as given -> what is believed of the labels, by the default score of an audit.

    Args:
        vectors: (N, D) features, from an encoder that was not trained with these labels.
        labels: (N,) ints in [0, K).
        groups: (N,) ints; samples of one patient never judge each other.
        n_classes: K.
        settings: the nodes `probe` and `noise_model` of configs/_opinion.yaml.
        seed: of folds and landmarks.
    """
    return summed_up(give_opinion(vectors, labels, groups, n_classes=n_classes, settings=settings, seed=seed), labels)


def give_opinion(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_classes: int, settings: Mapping[str, Any],
    seed: int,
) -> Opinion:  # fmt: skip
    """The opinion behind `believe`, which takes the same, for those who also want to know how sure it is."""
    return form_opinion(
        UnitRows(vectors, center=True), labels, groups, n_classes=n_classes, probe=settings["probe"],
        noise_model=settings["noise_model"], seed=seed,
    )  # fmt: skip


def summed_up(opinion: Opinion, labels: np.ndarray) -> Believed:
    """An opinion on (N,) labels as given -> what a strategy is told of it."""
    rate = float(opinion.wrong(labels).mean())
    return Believed(opinion.posterior.astype(np.float32), opinion.noise.transition, rate)
