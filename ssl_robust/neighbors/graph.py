"""The neighbours of every sample by the search that suits their number, with a description of that search."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from ssl_robust.neighbors.calibration import calibrate
from ssl_robust.neighbors.cells import make_cells, search_cells
from ssl_robust.neighbors.choice import choose
from ssl_robust.neighbors.exact import among, group_codes
from ssl_robust.neighbors.unit import UnitRows
from ssl_robust.records import Neighbors


@dataclass(frozen=True)
class Graph:
    """Neighbours and how they were found.

    Attributes:
        neighbors: (N, k).
        how: `kind` (exact or ivf), `why`, `k`, `cores`, `faiss`, `seconds`; of ivf also `n_cells`, `n_trained`,
            `n_probed`, `n_own`, `recall_wanted`, `recall_at_k`, `recall_at_10` and `recall_measured_on` (samples).
    """

    neighbors: Neighbors
    how: dict[str, Any]


def build_graph(
    vectors: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    k: int,
    groups: np.ndarray | None = None,
    center: bool,
    seed: int,
    settings: dict[str, Any],
) -> Graph:
    """Vectors -> the k most similar other vectors of each one, exact or nearly so.

    Args:
        vectors: (M, D) finite numbers, perhaps a memory map: they are read block by block.
        rows: (N,) rows of it that count; None: all.
        k: neighbours wanted, above zero.
        groups: (N,) ints; samples of one group (one patient) are not neighbours of each other.
        center: take the mean off the vectors first.
        seed: of the approximate search.
        settings: the values of configs/neighbors/auto.yaml.

    Returns:
        Neighbours as places in `rows`, -1 and -inf where fewer exist, and how they were found.

    Raises:
        ValueError: as in `search`, or a setting that no search can have.
    """
    started = time.monotonic()
    unit = UnitRows(vectors, rows=rows, center=center)
    codes = group_codes(groups, len(unit))
    chosen = choose(len(unit), unit.dim, k, settings)
    how: dict[str, Any] = {"kind": chosen.kind, "why": chosen.why, "k": k, "cores": faiss.omp_get_max_threads()}
    if chosen.kind == "exact":
        everything = unit.take(slice(None))
        found = among(everything, everything, codes, codes, k)
    else:
        found, measured = _in_cells(unit, codes, k, chosen.n_cells, seed, settings)
        how |= measured
    how |= {"faiss": faiss.__version__, "seconds": round(time.monotonic() - started, 2)}
    return Graph(found, how)


def _in_cells(
    unit: UnitRows, groups: np.ndarray, k: int, n_cells: int, seed: int, settings: dict[str, Any]
) -> tuple[Neighbors, dict[str, Any]]:
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1")
    if not 0 < settings["recall"] <= 1:
        raise ValueError(f"recall is {settings['recall']}; expected a share above 0, e.g. 0.95")
    ivf = settings["ivf"]
    cells = make_cells(
        unit, n_cells=n_cells, n_own=ivf["own_cells"], trained_per_cell=ivf["trained_per_cell"],
        n_iterations=ivf["iterations"], seed=seed,
    )  # fmt: skip
    cost = calibrate(unit, cells, groups, k=k, recall=settings["recall"], n_queries=ivf["calibrated_on"], seed=seed)
    found = search_cells(unit, cells, groups, k=k, n_probed=cost.n_probed)
    return found, {
        "n_cells": len(cells),
        "n_trained": cells.n_trained,
        "n_probed": cost.n_probed,
        "n_own": cells.own.shape[1],
        "recall_wanted": settings["recall"],
        "recall_at_k": round(cost.recall_at_k, 4),
        "recall_at_10": round(cost.recall_at_10, 4),
        "recall_measured_on": cost.n_queries,
    }
