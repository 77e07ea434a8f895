"""Vectors and labels -> the audit table, one row per sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust import neighbors
from ssl_robust.audit.scores.knn import knn_score, suggest, vote_shares
from ssl_robust.data.given import encode, patient_codes
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
    index: str | None = None,
    recall: float | None = None,
    n_neighbors: int | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Rank labels by how likely they are wrong, by the vote of each sample's nearest labelled neighbours.

    Args:
        vectors: (N, D) finite numbers of any encoder.
        labels: (N,) class names or codes as given; None, NaN and -1 mean unlabelled. A categorical brings the order of
            its classes, which settles ties; else they are sorted.
        groups: (N,) patients, whose other samples do not vote; None and NaN are groups of their own.
        ids: (N,) names of the samples, the row numbers where None; they settle equal scores.
        k: voters; None: as in configs/neighbors/auto.yaml, also for the next four.
        center: take the mean off the vectors first.
        temperature: weight of a vote is exp(cosine similarity / temperature).
        index: "exact"; "ivf", nearly exact and faster for many vectors; "auto", by their number.
        recall: share of the true neighbours that a search which is not exact must find.
        n_neighbors: neighbours to name, at most k; None: as in configs/audit.yaml.
        seed: of a search that is not exact; None: as in configs/_base.yaml.

    Returns:
        N rows in input order: `sample_id`; `label`; `suggested_label`, the class with most votes; `score` in [0, 1],
        higher = more likely mislabelled; `rank`, 1 = look first, ties by id; `neighbors`, a list of the nearest
        samples' ids. The last four are missing where there is no label.

    Raises:
        ValueError: lengths differ (the message states both), vectors hold NaN, or fewer than three samples or two
            classes are labelled.
    """
    settings = _settings(k=k, center=center, temperature=temperature, index=index, recall=recall)
    named = defaults("", "audit")["n_neighbors"] if n_neighbors is None else n_neighbors
    drawn = defaults("", "_base")["seed"] if seed is None else seed
    return ranked(vectors, labels, groups=groups, ids=ids, n_neighbors=named, seed=drawn, settings=settings)[0]


def ranked(
    vectors: np.ndarray,
    labels: Sequence[Any] | np.ndarray | pd.Series | pd.Categorical,
    *,
    groups: Sequence[Any] | np.ndarray | pd.Series | None,
    ids: Sequence[str] | np.ndarray | pd.Series | None,
    n_neighbors: int,
    seed: int,
    settings: dict[str, Any],
    out: Path | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of `audit_table`, and how its neighbours were found (`Graph.how`).

    Args:
        vectors: as in `audit_table`, as are the next three.
        labels: may be codes of a categorical.
        groups: patients.
        ids: names.
        n_neighbors: neighbours to name.
        seed: of a search that is not exact.
        settings: the values of configs/neighbors/auto.yaml.
        out: where neighbours are kept if `settings` say so.

    Raises:
        ValueError: as in `audit_table`.
        UserError: saved neighbours do not fit.
    """
    vectors = np.asanyarray(vectors)
    codes, classes = encode(labels)
    for name, values in (("labels", codes), ("groups", groups), ("ids", ids)):
        if values is not None and len(values) != len(vectors):
            raise ValueError(f"there are {len(vectors)} vectors and {len(values)} {name}; expected one each")
    names = np.asarray(range(len(vectors)) if ids is None else ids, dtype=object)
    rows = np.flatnonzero(codes >= 0)
    patients = patient_codes(groups, len(vectors))[rows]
    _check(codes[rows], patients, n=len(vectors))
    graph = _nearest(vectors, rows, patients, seed=seed, settings=settings, out=out)
    given = codes[rows]
    shares = vote_shares(graph.neighbors, given, patients, n_classes=len(classes), temperature=settings["temperature"])
    scores = knn_score(shares, given)
    named = _named(names[rows], graph.neighbors.indices[:, :n_neighbors])
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
    return table.join(labelled).loc[:, list(COLUMNS)], graph.how


def _settings(**given: Any) -> dict[str, Any]:
    packaged = defaults("neighbors", "auto")
    chosen = {**packaged, **{name: value for name, value in given.items() if value is not None}}
    for name in ("k", "temperature"):
        if not chosen[name] > 0:
            raise ValueError(f"{name} is {chosen[name]}; expected a number above zero")
    return chosen


def _nearest(
    vectors: np.ndarray, rows: np.ndarray, patients: np.ndarray, *, seed: int, settings: dict[str, Any],
    out: Path | None,
) -> neighbors.Graph:  # fmt: skip
    """The neighbours of the labelled rows, from an earlier audit where one is named."""
    chosen = None if len(rows) == len(vectors) else rows
    k, center = min(settings["k"], len(rows) - 1), settings["center"]
    of = None
    if settings["save"] or settings["file"]:
        of = neighbors.fingerprint(vectors, chosen, patients, center=center)
    if of and settings["file"]:
        graph = neighbors.read_graph(settings["file"], of, k=k, settings=settings)
    else:
        graph = neighbors.build_graph(
            vectors, rows=chosen, k=k, groups=patients, center=center, seed=seed, settings=settings
        )
    if of and settings["save"] and out is not None:
        neighbors.save_graph(out, graph, of)
    return graph


def _named(names: np.ndarray, indices: np.ndarray) -> list[list[Any]]:
    """The names of each sample's neighbours, nearest first."""
    full = (indices >= 0).all(axis=1)
    named = names[indices].tolist()
    for row in np.flatnonzero(~full):
        named[row] = [names[j] for j in indices[row] if j >= 0]
    return named


def _ranks(scores: np.ndarray, names: np.ndarray) -> np.ndarray:
    """1 = highest score; equal scores by id."""
    # Python sorts its own texts several times faster than NumPy sorts objects.
    by_name = np.empty(len(names), dtype=np.int64)
    by_name[sorted(range(len(names)), key=names.tolist().__getitem__)] = np.arange(len(names))
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.lexsort((by_name, -scores))] = np.arange(1, len(scores) + 1)
    return ranks


def _check(codes: np.ndarray, patients: np.ndarray, *, n: int) -> None:
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
