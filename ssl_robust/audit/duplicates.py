"""Copies and near copies among the audited scans: candidates are neighbours of their vectors, pixels confirm them.

Duplicates never vouch for each other: `merged_groups` puts them into one group, as if they were of one patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ssl_robust.duplicates import Clusters, Look, Pairs, above_usual, copies, correlations, join
from ssl_robust.duplicates.pairs import LARGEST
from ssl_robust.neighbors import UnitRows
from ssl_robust.records import Neighbors

_BLOCK = 16_384  # pairs looked at together
_ROUNDED = 1e-6  # similarities have six decimals
_RESOLVED = 100  # times as much: the square of a distance that can be compared with smaller ones


def find_duplicates(
    unit: UnitRows, near: Neighbors, look: Look | None, files: np.ndarray | None, settings: Mapping[str, Any]
) -> Clusters:
    """Samples that show the same picture.

    Args:
        unit: N vectors.
        near: (N, n_neighbors) of all samples, those of the own patient too (`neighbors.of_everyone`).
        look: of their N scans; None where there are vectors alone.
        files: (N,) codes; parts of one file (frames, slices) are never called copies of each other. None: no files.
        settings: the node `duplicates` of configs/audit.yaml.
    """
    n = len(unit)
    files = np.arange(n) if files is None else files
    if look is None:
        exact = _same_vectors(unit, near)
        counts = _stand_out(near, unit.dim, settings)
        similar = near.similarities
    else:
        exact = copies(look.digests, np.flatnonzero(look.fine.any(axis=1)), files)
        similar = correlations(look.fine, near.indices)
        counts = _confirmed(near, similar, settings)
    i, place = np.nonzero(counts)
    j = near.indices[i, place]
    others = files[i] != files[j]
    near_by = Pairs(i[others], j[others], similar[i, place][others].clip(0, LARGEST))
    return join(Pairs(*map(np.concatenate, zip(exact, near_by, strict=True))), n)


def _same_vectors(unit: UnitRows, near: Neighbors) -> Pairs:
    """Neighbours whose vectors are equal, number by number."""
    i, place = np.nonzero(near.similarities >= 1 - _ROUNDED)
    j = near.indices[i, place]
    equal = np.zeros(len(i), dtype=bool)
    for start in range(0, len(i), _BLOCK):
        block = slice(start, start + _BLOCK)
        equal[block] = (unit.take(i[block]) == unit.take(j[block])).all(axis=1)
    return Pairs(i[equal], j[equal], np.ones(int(equal.sum())))


def _confirmed(near: Neighbors, correlation: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """(N, k) bool, neighbours whose pixels stand out; vectors that stand out too make up for some of it."""
    pixels = above_usual(correlation, near.indices)
    vectors = above_usual(near.similarities, near.indices)
    weight, gap = settings["vectors"], settings["gap"]
    few = (correlation >= settings["floor"]) & (pixels.pair + weight * vectors.pair >= gap)
    many = (correlation >= settings["certain"]) & (pixels.most + weight * vectors.most >= gap)
    return few | many


def _stand_out(near: Neighbors, dim: int, settings: Mapping[str, Any]) -> np.ndarray:
    """(N, k) bool, neighbours nearer than chance would bring any two samples of the set.

    Where samples lie evenly around one whose k-th neighbour is at the distance r, (k - 1) (d / r)^m of the k - 1 nearer
    ones are expected within d. Their dimension m follows from the same law, N(r) ~ r^m (Pettis et al. 1979, IEEE
    TPAMI 1(1), 25-37): the middle over samples of log(k / h) / log(r_k / r_h). Summed over the set that is the number
    of pairs that chance brings, which holds for every encoder; a fixed similarity holds for none.
    """
    n, k = near.indices.shape
    half = k // 2
    if half < 1 or n <= 2 * k:
        return np.zeros((n, k), dtype=bool)  # so few samples have no usual distance
    # A similarity may be half its last decimal lower than it reads; without that, near samples of a line are at 0.
    distances = np.sqrt(2 - 2 * np.minimum(near.similarities.astype(np.float64), 1) + _ROUNDED)
    told = (near.indices[:, -1] >= 0) & (distances[:, -1] ** 2 > _RESOLVED * _ROUNDED)
    if not told.any():
        return np.zeros((n, k), dtype=bool)
    radius = np.where(told, distances[:, -1], 1)
    with np.errstate(divide="ignore"):
        m = min(dim, float(np.median(np.log(k / half) / np.log(radius / distances[:, half - 1])[told])))
    ratio = np.where(told[:, None] & told[near.indices], distances, np.inf)
    ratio /= np.minimum(radius[:, None], radius[near.indices])
    return (n * (k - 1) / 2 * ratio**m <= settings["by_chance"]) & (ratio <= settings["ratio"])


def merged_groups(groups: np.ndarray, clusters: Clusters) -> np.ndarray:
    """(N,) ints from 0: patients, joined where they share a picture. Who is in one group has no vote on another of it.

    Args:
        groups: (N,) ints from 0, patients; every sample its own where they are unknown.
        clusters: of the same samples.
    """
    rows = np.flatnonzero(clusters.of >= 0)
    n_groups = int(groups.max(initial=-1)) + 1
    n = n_groups + len(clusters)
    edges = coo_array((np.ones(len(rows)), (groups[rows], n_groups + clusters.of[rows])), shape=(n, n))
    return np.unique(connected_components(edges, directed=False)[1][groups], return_inverse=True)[1]


def duplicates_table(
    clusters: Clusters, *, ids: np.ndarray, labels: np.ndarray, classes: np.ndarray, splits: np.ndarray | None,
    patients: np.ndarray | None,
) -> pd.DataFrame:  # fmt: skip
    """One row per sample of a cluster: conflicts first, then clusters across splits, across patients, and the rest.

    Args:
        clusters: of N samples.
        ids: (N,) names.
        labels: (N,) ints, as given.
        classes: (K,) names.
        splits: (N,) names, None where unknown.
        patients: (N,) ints, -1 where unknown; None: unknown of all.

    Returns:
        `cluster` from 1; `sample_id`; `label`; `split`; `similarity` with the most similar other of the cluster;
        `kind`, exact where this is a copy, else near; `conflict` (of labels), `across_splits` and `across_patients`,
        which hold for the whole cluster.
    """
    unknown = np.full(len(clusters.of), -1)
    split_codes = unknown if splits is None else pd.factorize(splits)[0]
    differ = [clusters.differ(each) for each in (labels, split_codes, unknown if patients is None else patients)]
    worst_first = np.lexsort((np.arange(len(clusters)), -clusters.lowest, *(~each for each in reversed(differ))))
    place = np.empty(len(clusters), dtype=np.int64)
    place[worst_first] = np.arange(1, len(clusters) + 1)
    rows = np.flatnonzero(clusters.of >= 0)
    rows = rows[np.argsort(place[clusters.of[rows]], kind="stable")]
    of = clusters.of[rows]
    conflict, across_splits, across_patients = (each[of] for each in differ)
    return pd.DataFrame({
        "cluster": place[of], "sample_id": ids[rows], "label": classes[labels[rows]],
        "split": None if splits is None else splits[rows], "similarity": clusters.nearest[rows].round(6),
        "kind": np.where(clusters.nearest[rows] == 1, "exact", "near"), "conflict": conflict,
        "across_splits": across_splits, "across_patients": across_patients,
    })  # fmt: skip


def count_duplicates(table: pd.DataFrame) -> dict[str, int]:
    """The table of `duplicates_table` -> `n_clusters`, `n_scans`, and the clusters that are conflicts or leaks."""
    one_each = table.drop_duplicates("cluster")
    return {
        "n_clusters": len(one_each),
        "n_scans": len(table),
        "n_conflicts": int(one_each["conflict"].to_numpy().sum()),
        "n_across_splits": int(one_each["across_splits"].to_numpy().sum()),
        "n_across_patients": int(one_each["across_patients"].to_numpy().sum()),
    }
