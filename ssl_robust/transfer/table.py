"""Vectors, labels and splits -> the table of a probe, for the Python API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.given import encode
from ssl_robust.settings import stage_defaults
from ssl_robust.transfer.checks import mistake_in
from ssl_robust.transfer.protocols import Problem, group_codes
from ssl_robust.transfer.results import compare


def probe_table(
    features: Mapping[str, np.ndarray],
    labels: Any,
    *,
    splits: Any,
    groups: Any = None,
    few_labels: Sequence[float] | None = None,
    few_draws: int | None = None,
    k: int | None = None,
    temperature: float | None = None,
    n_resamples: int | None = None,
    level: float | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """See `ssl_robust.api.probe`; None takes the value of configs/probe.yaml.

    Raises:
        ValueError: lengths differ (the message states both), vectors hold NaN, a split has no label, train has one
            class, test has a class that train lacks, a group is in train and in test, or a setting does not fit.
    """
    codes, classes = encode(labels)
    arrays = {name: np.asarray(vectors) for name, vectors in features.items()}
    for name, vectors in arrays.items():
        _check_vectors(name, vectors, len(codes))
    for name, values in (("splits", splits), ("groups", groups)):
        if values is not None and len(values) != len(codes):
            raise ValueError(f"there are {len(codes)} labels and {len(values)} {name}; expected one each")
    names = pd.Series(np.asarray(splits, dtype=object)).fillna("").astype(str)
    rows = {name: np.flatnonzero((names == name).to_numpy() & (codes >= 0)) for name in ("train", "test")}
    for name, mine in rows.items():
        if len(mine) == 0:
            raise ValueError(f"no labelled sample has the split {name!r}; expected train and test in splits")
    if len(np.unique(codes[rows["train"]])) < 2:
        raise ValueError("the training labels are of one class; a probe needs at least two")
    unseen = np.setdiff1d(codes[rows["test"]], codes[rows["train"]])
    if len(unseen):
        raise ValueError(f"the class {classes[unseen[0]]} has test samples and no training sample")
    patients = group_codes([None] * len(codes) if groups is None else groups, range(len(codes)))
    problem = Problem(rows["train"], rows["test"], codes, codes, patients, len(classes))
    settings = _settings(few_labels=few_labels, few_draws=few_draws, seed=seed,
                         knn={"k": k, "temperature": temperature},
                         bootstrap={"n_resamples": n_resamples, "level": level})  # fmt: skip
    if mistake := mistake_in(settings):
        raise ValueError(mistake.removeprefix("knn.").removeprefix("bootstrap."))
    return compare(arrays, problem, settings=settings).table()


def _check_vectors(name: str, vectors: np.ndarray, n: int) -> None:
    if vectors.ndim != 2 or len(vectors) != n:
        raise ValueError(f"{name} has the shape {vectors.shape} and there are {n} labels; expected ({n}, D)")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name} holds NaN or infinity in row {int(np.isfinite(vectors).all(axis=1).argmin())}")


def _settings(**given: Any) -> dict[str, Any]:
    """The values of configs/probe.yaml, replaced where one was given."""
    packaged = stage_defaults("probe")
    chosen: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, dict):
            known = {key: each for key, each in value.items() if each is not None}
            chosen[name] = {**packaged[name], **known}
        else:
            chosen[name] = packaged[name] if value is None else value
    return chosen
