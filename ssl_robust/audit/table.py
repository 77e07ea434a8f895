"""Vectors and labels -> the audit table, one row per sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust import neighbors
from ssl_robust.audit.scores.knn import knn_score, suggest, vote_shares
from ssl_robust.records import Neighbors
from ssl_robust.settings import defaults

COLUMNS = ("sample_id", "label", "suggested_label", "score", "rank", "neighbors")
_FEWEST = 3


def audit_table(
    vectors: np.ndarray,
    labels: Sequence[Any] | np.ndarray | pd.Series | pd.Categorical,
    *,
    groups: Sequence[Any] | np.ndarray | pd.Series | None = None,
    ids: Sequence[str] | np.ndarray | pd.Series | None = None,
    k: int | None = None,
    center: bool | None = None,
    temperature: float | None = None,
    n_neighbors: int | None = None,
) -> pd.DataFrame:
    """Rank labels by how likely they are wrong, by the vote of each sample's nearest labelled neighbours.

    Args:
        vectors: (N, D) finite numbers of any encoder.
        labels: (N,) class names or codes as given; None, NaN and -1 mean unlabelled. A categorical brings the order of
            its classes, which settles ties; else they are sorted.
        groups: (N,) patients, whose other samples do not vote; None and NaN are groups of their own.
        ids: (N,) names of the samples, the row numbers where None; they settle equal scores.
        k: voters; None: as in configs/neighbors/exact.yaml, also for the next two.
        center: take the mean off the vectors first.
        temperature: weight of a vote is exp(cosine similarity / temperature).
        n_neighbors: neighbours to name, at most k; None: as in configs/audit.yaml.

    Returns:
        N rows in input order: `sample_id`; `label`; `suggested_label`, the class with most votes; `score` in [0, 1],
        higher = more likely mislabelled; `rank`, 1 = look first, ties by id; `neighbors`, a list of the nearest
        samples' ids. The last four are missing where there is no label.

    Raises:
        ValueError: lengths differ (the message states both), vectors hold NaN, or fewer than three samples or two
            classes are labelled.
    """
    chosen = _settings(k=k, center=center, temperature=temperature, n_neighbors=n_neighbors)
    vectors = np.asanyarray(vectors)
    codes, classes = _encode(labels)
    for name, values in (("labels", codes), ("groups", groups), ("ids", ids)):
        if values is not None and len(values) != len(vectors):
            raise ValueError(f"there are {len(vectors)} vectors and {len(values)} {name}; expected one each")
    names = np.asarray(range(len(vectors)) if ids is None else ids, dtype=object)
    rows = np.flatnonzero(codes >= 0)
    patients = _patients(groups, len(vectors))[rows]
    _check(codes[rows], patients, n=len(vectors))
    found = _nearest(vectors, rows, patients, k=chosen["k"], center=chosen["center"])
    given = codes[rows]
    shares = vote_shares(found, given, patients, n_classes=len(classes), temperature=chosen["temperature"])
    scores = knn_score(shares, given)
    named = [[names[rows[j]] for j in line if j >= 0] for line in found.indices[:, : chosen["n_neighbors"]]]
    labelled = pd.DataFrame(
        {
            "suggested_label": classes.take(suggest(shares, given)),
            "score": scores,
            "rank": pd.array(_ranks(scores, names[rows]), dtype="Int64"),
            "neighbors": pd.Series(named, dtype=object, index=rows),
        },
        index=rows,
    )
    table = pd.DataFrame({"sample_id": names, "label": pd.Series(labels).array}, index=pd.RangeIndex(len(vectors)))
    return table.join(labelled).loc[:, list(COLUMNS)]


def _settings(**given: Any) -> dict[str, Any]:
    packaged = {**defaults("neighbors", "exact"), "n_neighbors": defaults("", "audit")["n_neighbors"]}
    chosen = {name: packaged[name] if value is None else value for name, value in given.items()}
    for name in ("k", "temperature"):
        if not chosen[name] > 0:
            raise ValueError(f"{name} is {chosen[name]}; expected a number above zero")
    return chosen


def _encode(labels: Any) -> tuple[np.ndarray, pd.Index]:
    """(N,) codes, -1 where there is no label, and the classes that they stand for."""
    if isinstance(getattr(labels, "dtype", None), pd.CategoricalDtype):
        values = pd.Categorical(labels)
        return values.codes.astype(np.int64), values.categories
    values = pd.Series(labels)
    known = (values.notna() & ~values.isin([-1])).to_numpy()
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[known], classes = pd.factorize(values[known], sort=True)
    # A nullable type, so that whole numbers stay whole beside missing ones.
    return codes, pd.Index(classes).astype("Int64") if classes.dtype.kind in "iu" else pd.Index(classes)


def _patients(groups: Any, n: int) -> np.ndarray:
    """(N,) group codes; an unknown group is one of its own."""
    if groups is None:
        return np.arange(n)
    codes, known = pd.factorize(np.asarray(groups, dtype=object))
    return np.where(codes < 0, len(known) + np.arange(n), codes)


def _check(codes: np.ndarray, patients: np.ndarray, *, n: int) -> None:
    if len(codes) == 0:
        raise ValueError(f"none of the {n} samples has a label, so there is nothing to audit")
    if len(np.unique(codes)) < 2:
        raise ValueError(f"all {len(codes)} labels are of one class; an audit needs at least two classes")
    if len(codes) < _FEWEST:
        raise ValueError(f"only {len(codes)} samples have a label; an audit needs at least {_FEWEST}")
    if len(np.unique(patients)) < 2:
        raise ValueError("all labelled samples are of one patient; nobody else is there to vote")


def _nearest(vectors: np.ndarray, rows: np.ndarray, patients: np.ndarray, *, k: int, center: bool) -> Neighbors:
    chosen = vectors if len(rows) == len(vectors) else vectors[rows]
    finite = np.isfinite(chosen.sum(axis=1, dtype=np.float64))
    if not finite.all():
        raise ValueError(f"row {rows[finite.argmin()]} of the vectors holds NaN or infinity")
    if center:
        chosen = chosen - chosen.mean(axis=0, dtype=np.float64).astype(np.float32)
    return neighbors.search(chosen, k=min(k, len(rows) - 1), groups=patients)


def _ranks(scores: np.ndarray, names: np.ndarray) -> np.ndarray:
    """1 = highest score; equal scores by id."""
    by_name = np.argsort(np.argsort(names.astype(object), kind="stable"), kind="stable")
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.lexsort((by_name, -scores))] = np.arange(1, len(scores) + 1)
    return ranks
