"""Which scans show the same picture: copies, and those that were cropped, marked, enhanced or saved again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssl_robust import neighbors
from ssl_robust.check.appearance import Appearance
from ssl_robust.check.findings import Finding, counted, found
from ssl_robust.data.manifest import Manifest
from ssl_robust.duplicates import Pairs, above_usual, copies, correlations, join
from ssl_robust.settings import defaults


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
    files = manifest.file_codes()
    pairs = [copies(look.digests, rows, files)]
    if len(rows) > 1:
        pairs.append(_near(look, rows, files[rows], settings, seed=seed))
    joined = join(Pairs(*map(np.concatenate, zip(*pairs, strict=True))), len(usable))
    columns = {"labels": "label", "splits": "split", "patients": "patient_id"}
    differ = {what: joined.differ(_codes(manifest, column)) for what, column in columns.items()}
    clusters = [
        Cluster(
            rows=each,
            similarity=float(joined.lowest[number]),
            identical=len(np.unique(look.digests[each])) == 1,
            differ=[what for what in columns if differ[what][number]],
        )
        for number, each in enumerate(joined.members())
    ]

    def first_seen(cluster: Cluster) -> tuple:
        return [what not in cluster.differ for what in columns], -cluster.similarity, cluster.rows[0]

    return sorted(clusters, key=first_seen)


def _near(look: Appearance, rows: np.ndarray, files: np.ndarray, settings: Mapping[str, Any], *, seed: int) -> Pairs:
    """Pairs whose correlation stands out, and this correlation."""
    k = min(settings["n_neighbors"], len(rows) - 1)
    search = defaults("neighbors", "auto")
    graph = neighbors.build_graph(look.coarse, rows=rows, k=k, groups=files, center=False, seed=seed, settings=search)
    near = graph.neighbors.indices
    found = correlations(look.fine[rows], near)
    gaps = above_usual(found, near)
    many = (found >= settings["certain"]) & (gaps.most >= settings["gap"])
    few = (found >= settings["floor"]) & (gaps.pair >= settings["gap"])
    i, place = np.nonzero(many | few)
    return Pairs(rows[i], rows[near[i, place]], found[i, place])


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
