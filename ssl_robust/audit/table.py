"""Vectors and labels -> the audit table, one row per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.audit.estimate import as_record
from ssl_robust.audit.gathered import Gathered, gather
from ssl_robust.audit.judged import Judged, judge_labels
from ssl_robust.audit.scores.chosen import packaged
from ssl_robust.data.given import encode, patient_codes
from ssl_robust.settings import defaults, stage_defaults

COLUMNS = ("sample_id", "label", "suggested_label", "score", "p_mislabeled", "rank", "evidence", "neighbors")
_FEWEST = 3
_DECIMALS = 6
_BLOCK = 4096  # rows compared together


def audit_table(
    vectors: np.ndarray,
    labels: Sequence[Any] | np.ndarray | pd.Series | pd.Categorical,
    *,
    groups: Sequence[Any] | np.ndarray | pd.Series | None = None,
    ids: Sequence[str] | np.ndarray | pd.Series | None = None,
    score: str = "ensemble",
    k: int | None = None,
    center: bool | None = None,
    temperature: float | None = None,
    index: str | None = None,
    recall: float | None = None,
    n_neighbors: int | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Rank labels by how likely they are wrong, by what the scans of all other patients say.

    Args:
        vectors: (N, D) finite numbers of any encoder.
        labels: (N,) class names or codes as given; None, NaN and -1 mean unlabelled. A categorical brings its classes,
            else they are sorted.
        groups: (N,) patients, whose other samples have no say; None and NaN are groups of their own.
        ids: (N,) names of the samples, the row numbers where None; they settle equal scores.
        score: a file of configs/score: "ensemble", "knn", "self_confidence", …
        k: neighbours; None: as in configs/neighbors/auto.yaml, also for the next four.
        center: take the mean off the vectors first.
        temperature: weight of a vote is exp(cosine similarity / temperature).
        index: "exact"; "ivf", nearly exact and faster for many vectors; "auto", by their number.
        recall: share of the true neighbours that a search which is not exact must find.
        n_neighbors: neighbours to name, at most k; None: as in configs/audit.yaml.
        seed: of all that is drawn; None: as in configs/_base.yaml.

    Returns:
        N rows in input order: `sample_id`; `label`; `suggested_label`, another class where the label is more likely
        wrong than right; `score` in [0, 1], higher = more likely mislabelled; `p_mislabeled`, the probability of it,
        missing where a class has too few patients to be judged; `rank`, 1 = look first, ties by id; `evidence`, the
        effective number of other patients among the neighbours; `neighbors`, a list of the nearest samples' ids. All
        but the first two are missing where there is no label. `.attrs["estimate"]` says how many labels are wrong, and
        `.attrs["transition"]` which are taken for which, both as in audit.json.

    Raises:
        ValueError: lengths differ (the message states both), vectors hold NaN or are all equal, fewer than three
            samples or two classes are labelled, or an option does not fit.
    """
    stage = stage_defaults("audit")
    if n_neighbors is not None and n_neighbors < 0:
        raise ValueError(f"n_neighbors is {n_neighbors}; expected a number from zero")
    search = _search(k=k, center=center, temperature=temperature, index=index, recall=recall)
    settings = {**stage, "neighbors": search, "score": packaged(score, search)}
    settings["n_neighbors"] = stage["n_neighbors"] if n_neighbors is None else n_neighbors
    drawn = stage["seed"] if seed is None else seed
    table, _, judged = ranked(vectors, labels, groups=groups, ids=ids, settings=settings, seed=drawn)
    classes = [str(name) for name in encode(labels)[1]]
    table.attrs.update(as_record(judged.estimate, judged.why, classes))
    return table


def ranked(
    vectors: np.ndarray,
    labels: Sequence[Any] | np.ndarray | pd.Series | pd.Categorical,
    *,
    groups: Sequence[Any] | np.ndarray | pd.Series | None,
    ids: Sequence[str] | np.ndarray | pd.Series | None,
    settings: Mapping[str, Any],
    seed: int,
    **seen: Any,
) -> tuple[pd.DataFrame, Gathered, Judged]:
    """The table of `audit_table`, and what it rests on; rows of the latter are those of the table that have a label.

    Args:
        vectors: as in `audit_table`, as are the next three.
        labels: may be codes of a categorical.
        groups: patients.
        ids: names.
        settings: of the stage.
        seed: of all that is drawn.
        seen: what is known besides vectors, as `gather` takes it, with a row for each labelled sample.

    Raises:
        ValueError: as in `audit_table`.
        UserError: saved neighbours do not fit.
    """
    vectors = np.asanyarray(vectors)
    if vectors.dtype.kind not in "biuf" or vectors.ndim != 2:
        raise ValueError(f"vectors have the shape {vectors.shape} and type {vectors.dtype}; expected numbers, (N, D)")
    codes, classes = encode(labels)
    for name, values in (("labels", codes), ("groups", groups), ("ids", ids)):
        if values is not None and len(values) != len(vectors):
            raise ValueError(f"there are {len(vectors)} vectors and {len(values)} {name}; expected one each")
    names = np.asarray(range(len(vectors)) if ids is None else ids, dtype=object)
    rows = np.flatnonzero(codes >= 0)
    patients = patient_codes(groups, len(vectors))[rows]
    _check(codes[rows], patients, n=len(vectors))
    if _all_equal(vectors, rows):
        raise ValueError(f"the vectors of all {len(rows)} labelled samples are equal, so they say nothing of any label")
    gathered = gather(
        vectors, rows, codes[rows], patients, n_classes=len(classes), settings=settings, seed=seed, **seen
    )
    judged = judge_labels(gathered, settings=settings, seed=seed)
    named = _named(names[rows], gathered.evidence.neighbors.indices[:, : settings["n_neighbors"]])
    labelled = pd.DataFrame(
        {
            "suggested_label": classes.take(judged.suggested),
            "score": judged.score.round(_DECIMALS),
            "p_mislabeled": judged.p_mislabeled,
            "rank": pd.array(_ranks(judged.score, names[rows]), dtype="Int64"),
            "evidence": gathered.strength,
            "neighbors": pd.Series(named, dtype=object, index=rows),
        },
        index=rows,
    )
    table = pd.DataFrame({"sample_id": names, "label": pd.Series(labels).array}, index=pd.RangeIndex(len(vectors)))
    return table.join(labelled).loc[:, list(COLUMNS)], gathered, judged


def _search(**given: Any) -> dict[str, Any]:
    packaged_values = defaults("neighbors", "auto")
    chosen = {**packaged_values, **{name: value for name, value in given.items() if value is not None}}
    for name in ("k", "temperature"):
        if not chosen[name] > 0:
            raise ValueError(f"{name} is {chosen[name]}; expected a number above zero")
    return chosen


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
    ranks[np.lexsort((by_name, -scores.round(12)))] = np.arange(1, len(scores) + 1)
    return ranks


def _all_equal(vectors: np.ndarray, rows: np.ndarray) -> bool:
    """Whether there is but one vector; of a memory map no more is read than it takes to know."""
    starts = range(0, len(rows), _BLOCK)
    return all((vectors[rows[start : start + _BLOCK]] == vectors[rows[0]]).all() for start in starts)


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
