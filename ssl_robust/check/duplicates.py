"""Which scans show the same picture: copies, and those that were cropped, marked, enhanced or saved again.

Scans of one kind look alike, so no fixed similarity tells copies from relatives: chest X-rays of two children correlate
more than an ultrasound picture and its second print. A pair counts where its correlation stands out from those of both
scans with their nearest others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ssl_robust import neighbors
from ssl_robust.check.appearance import Appearance
from ssl_robust.check.findings import Finding, counted, found
from ssl_robust.data.manifest import Manifest
from ssl_robust.settings import defaults

_BLOCK = 4096  # scans compared at once


@dataclass(frozen=True)
class Cluster:
    """Scans that show the same picture.

    Attributes:
        rows: of the manifest, ascending.
        similarity: lowest correlation of the pairs that join them; 1 for copies.
        identical: whether all have the same pixels.
        differ: which of "labels", "splits" and "patients" are not the same for all, so far as they are known.
    """

    rows: np.ndarray
    similarity: float
    identical: bool
    differ: list[str] = field(default_factory=list)


def find_duplicates(
    look: Appearance, manifest: Manifest, usable: np.ndarray, settings: Mapping[str, Any], *, seed: int
) -> list[Cluster]:
    """Scans that show the same picture, those under different labels first, then those across splits or patients.

    Args:
        look: of all scans.
        manifest: their table; parts of one file (frames, slices) are never called copies of each other.
        usable: (N,) bool, False for scans that show nothing: all blank scans are alike.
        settings: the node `duplicates` of configs/check.yaml.
        seed: of the search among many scans.
    """
    rows = np.flatnonzero(usable)
    files = _files(manifest)
    pairs = [_copies(look.digests, rows, files)]
    if len(rows) > 1:
        pairs.append(_near(look, rows, files[rows], settings, seed=seed))
    first, second, similarity = (np.concatenate(each) for each in zip(*pairs, strict=True))
    joined = coo_array((np.ones(len(first)), (first, second)), shape=(len(usable), len(usable)))
    of = connected_components(joined, directed=False)[1]
    lowest = np.ones(len(usable))
    np.minimum.at(lowest, of[first], similarity)
    columns = {"labels": "label", "splits": "split", "patients": "patient_id"}
    known = {what: _codes(manifest, column) for what, column in columns.items()}
    clusters = [
        Cluster(
            rows=each,
            similarity=float(lowest[of[each[0]]]),
            identical=len(np.unique(look.digests[each])) == 1,
            differ=[what for what, codes in known.items() if len(np.unique(codes[each][codes[each] >= 0])) > 1],
        )
        for each in _members(of)
    ]

    def first_seen(cluster: Cluster) -> tuple:
        return [what not in cluster.differ for what in columns], -cluster.similarity, cluster.rows[0]

    return sorted(clusters, key=first_seen)


def _members(of: np.ndarray) -> list[np.ndarray]:
    """(N,) numbers -> the rows that share one, for each number that several rows have."""
    order = np.argsort(of, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(of[order])) + 1)
    return [each for each in groups if len(each) > 1]


def _copies(digests: np.ndarray, rows: np.ndarray, files: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each scan whose pixels occur before in another file, the scan before it with the same, their correlation, 1."""
    order = rows[np.argsort(digests[rows], kind="stable")]
    same = (digests[order[1:]] == digests[order[:-1]]) & (files[order[1:]] != files[order[:-1]])
    return order[:-1][same], order[1:][same], np.ones(int(same.sum()))


def _near(
    look: Appearance, rows: np.ndarray, files: np.ndarray, settings: Mapping[str, Any], *, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs whose correlation stands out, and this correlation."""
    k = min(settings["n_neighbors"], len(rows) - 1)
    search = defaults("neighbors", "auto")
    graph = neighbors.build_graph(look.coarse, rows=rows, k=k, groups=files, center=False, seed=seed, settings=search)
    near = graph.neighbors.indices
    correlation = np.full(near.shape, np.nan)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        own = look.fine[rows[block]].astype(np.float32)
        for place in range(k):
            other = look.fine[rows[near[block, place]]].astype(np.float32)
            correlation[block, place] = np.einsum("nd,nd->n", own, other)
    correlation = np.where(near < 0, np.nan, correlation.clip(0, 0.9999))
    known = np.where(np.isnan(correlation), 0, correlation)
    # The middle of the correlations with the nearest others: what unrelated scans of this kind reach.
    usual = np.arctanh(np.median(known, axis=1))
    i, place = np.nonzero(near >= 0)
    j, found = near[i, place], known[i, place]
    above = np.arctanh(found)
    # A scan with more copies than neighbours were looked at stands out from the other scans of the set alone.
    many = (found >= settings["certain"]) & (above - np.median(usual) >= settings["gap"])
    few = (found >= settings["floor"]) & (above - np.maximum(usual[i], usual[j]) >= settings["gap"])
    counts = many | few
    return rows[i[counts]], rows[j[counts]], found[counts]


def _files(manifest: Manifest) -> np.ndarray:
    """(N,) code of the file of each scan; every scan its own where there are no files."""
    files = manifest.source.files
    if files is None:
        return np.arange(len(manifest))
    codes = {file: code for code, file in enumerate(dict.fromkeys(files))}
    return np.array([codes[file] for file in files])


def _codes(manifest: Manifest, column: str) -> np.ndarray:
    """(N,) codes of a column's texts; -1 where unknown."""
    return manifest.table[column].astype("category").cat.codes.to_numpy()


def judge_duplicates(clusters: list[Cluster], ids: np.ndarray, *, has_patients: bool) -> list[Finding]:
    """What the same picture twice means, the worst first.

    Args:
        clusters: as `find_duplicates` returns them.
        ids: (N,) ids of the scans.
        has_patients: whether patients are known.
    """
    if not clusters:
        return [found("fine", "duplicates", "No two scans show the same picture")]
    findings = []
    for what, severity, effect, remedy in (
        ("labels", "problem", "under two labels", "at most one label of each group is right, let an expert decide"),
        ("splits", "problem", "in more than one split", "a test flatters; keep one of each, or put them in one split"),
        ("patients", "look", "under two patients", "correct the patients, or keep one of each"),
    ):
        if hit := [each for each in clusters if what in each.differ]:
            text = f"The same picture {effect}: {_amount(hit)}; {remedy}"
            findings.append(found(severity, "duplicates", text, ids[_rows(hit)]))
    if rest := [each for each in clusters if not each.differ]:
        n_copies = sum(each.identical for each in rest)
        copies = f" ({counted(n_copies, 'group')} of exact copies)" if n_copies else ""
        remedy = "they count twice in training" if has_patients else "perhaps one patient: name patients, or keep one"
        text = f"The same picture again, label and split alike: {_amount(rest)}{copies}; {remedy}"
        findings.append(found("look", "duplicates", text, ids[_rows(rest)]))
    return findings


def _amount(clusters: list[Cluster]) -> str:
    return f"{counted(len(clusters), 'group')}, {len(_rows(clusters)):,} scans"


def _rows(clusters: list[Cluster]) -> np.ndarray:
    return np.concatenate([each.rows for each in clusters])
