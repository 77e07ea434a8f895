"""Labels and patients as users give them -> codes, and whether an audit of them is possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_FEWEST = 3


def encode(labels: Any) -> tuple[np.ndarray, pd.Index]:
    """(N,) codes, -1 where there is no label, and the classes that they stand for.

    Args:
        labels: (N,) names or codes; None, NaN and -1 mean unlabelled, a categorical brings the order of its classes.
    """
    if isinstance(getattr(labels, "dtype", None), pd.CategoricalDtype):
        values = pd.Categorical(labels)
        return values.codes.astype(np.int64), values.categories
    values = pd.Series(labels)
    known = (values.notna() & ~values.isin([-1])).to_numpy()
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[known], classes = pd.factorize(values[known], sort=True)
    # A nullable type, so that whole numbers stay whole beside missing ones.
    return codes, pd.Index(classes).astype("Int64") if classes.dtype.kind in "iu" else pd.Index(classes)


def patient_codes(groups: Any, n: int) -> np.ndarray:
    """(N,) group codes; an unknown group is one of its own.

    Args:
        groups: (N,) names of any kind, or None.
        n: N.
    """
    if groups is None:
        return np.arange(n)
    codes, known = pd.factorize(np.asarray(groups, dtype=object))
    return np.where(codes < 0, len(known) + np.arange(n), codes)


def check(codes: np.ndarray, patients: np.ndarray, *, n: int) -> None:
    """An audit compares labels of several classes and patients.

    Args:
        codes: of the samples that have a label.
        patients: their group codes.
        n: samples with and without a label.

    Raises:
        ValueError: there are too few labels, classes or patients.
    """
    if len(codes) == 0:
        raise ValueError(f"none of the {n} samples has a label, so there is nothing to audit")
    if len(np.unique(codes)) < 2:
        raise ValueError(f"all {len(codes)} labels are of one class; an audit needs at least two classes")
    if len(codes) < _FEWEST:
        raise ValueError(f"only {len(codes)} samples have a label; an audit needs at least {_FEWEST}")
    if len(np.unique(patients)) < 2:
        raise ValueError("all labelled samples are of one patient; nobody else is there to vote")
