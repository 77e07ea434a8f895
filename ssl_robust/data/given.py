"""Labels and patients as users of the Python API give them -> codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


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
