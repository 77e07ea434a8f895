"""Vectors, labels and patients -> neighbours, copies and all else that a judgement rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust import neighbors
from ssl_robust.audit.duplicates import find_duplicates, merged_groups
from ssl_robust.audit.evidence import Evidence
from ssl_robust.audit.strength import effective_voters
from ssl_robust.duplicates import Clusters, Look
from ssl_robust.neighbors import Graph, UnitRows


@dataclass(frozen=True)
class Gathered:
    """All that is known of N labelled samples before they are judged.

    Attributes:
        evidence: for scores; its groups are patients together with the copies of their scans.
        patients: (N,) ints from 0 without gaps.
        clusters: samples that show the same picture.
        strength: (N,) effective number of other patients among the neighbours.
        how: how neighbours were found (`Graph.how`).
    """

    evidence: Evidence
    patients: np.ndarray
    clusters: Clusters
    strength: np.ndarray
    how: dict[str, Any]


def gather(
    vectors: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    *,
    n_classes: int,
    settings: Mapping[str, Any],
    seed: int,
    look: Look | None = None,
    files: np.ndarray | None = None,
    dynamics: dict[str, np.ndarray] | None = None,
    out: Path | None = None,
) -> Gathered:
    """Look once for neighbours; copies, votes and outliers all come from them.

    Args:
        vectors: (M, D) finite numbers, perhaps a memory map.
        rows: (N,) rows of it that have a label.
        labels: (N,) ints in [0, K), as given.
        patients: (N,) ints.
        n_classes: K.
        settings: the nodes `neighbors`, `duplicates`, `probe` and `noise_model` of the stage.
        seed: of everything that is drawn.
        look: of the N scans, where there are any.
        files: (N,) codes of their files.
        dynamics: arrays with N rows, by name.
        out: where neighbours are kept if `settings` say so.

    Raises:
        ValueError: vectors hold NaN.
        UserError: saved neighbours do not fit.
    """
    search, copies = settings["neighbors"], settings["duplicates"]
    chosen = None if len(rows) == len(vectors) else rows
    patients = np.unique(patients, return_inverse=True)[1]
    unit = UnitRows(vectors, rows=chosen, center=search["center"])
    graph = _graph(vectors, chosen, patients, k=min(search["k"] + copies["spare"], len(rows) - 1), seed=seed,
                   search=search, out=out)  # fmt: skip
    few = min(copies["n_neighbors"], graph.neighbors.indices.shape[1])
    near = neighbors.of_everyone(unit, patients, graph.neighbors, k=few)
    clusters = find_duplicates(unit, near, look, files, copies)
    groups = merged_groups(patients, clusters)
    voters = neighbors.leave_out(graph.neighbors, unit, groups, k=min(search["k"], len(rows) - 1))
    evidence = Evidence(unit, labels, groups, n_classes, voters, seed, probe=dict(settings["probe"]),
                        noise_model=dict(settings["noise_model"]), pictures=clusters.of,
                        dynamics=dynamics or {})  # fmt: skip
    strength = effective_voters(voters, groups, temperature=search["temperature"])
    return Gathered(evidence, patients, clusters, strength, {**graph.how, "k": voters.indices.shape[1]})


def _graph(
    vectors: np.ndarray, rows: np.ndarray | None, patients: np.ndarray, *, k: int, seed: int,
    search: dict[str, Any], out: Path | None,
) -> Graph:  # fmt: skip
    """The neighbours of the labelled rows, from an earlier audit where one is named."""
    of = None
    if search["save"] or search["file"]:
        of = neighbors.fingerprint(vectors, rows, patients, center=search["center"])
    if of and search["file"]:
        graph = neighbors.read_graph(search["file"], of, k=k, settings=search)
    else:
        graph = neighbors.build_graph(
            vectors, rows=rows, k=k, groups=patients, center=search["center"], seed=seed, settings=search
        )
    if of and search["save"] and out is not None:
        neighbors.save_graph(out, graph, of)
    return graph
