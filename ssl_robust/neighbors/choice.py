"""Exact or approximate: which search suits so many vectors on this machine, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import faiss

INDEXES = ("auto", "exact", "ivf")
_FEWEST_PER_VOTER = 40  # samples per neighbour wanted; below, the cells to look into would be most of them


@dataclass(frozen=True)
class Choice:
    """The search that will be made.

    Attributes:
        kind: exact or ivf.
        n_cells: of ivf, 0 for exact.
        why: one sentence with the numbers that decided.
    """

    kind: str
    n_cells: int
    why: str


def choose(n: int, dim: int, k: int, settings: dict[str, Any]) -> Choice:
    """Exact search while it is quick here: its time grows with the square of N, that of cells hardly faster than N.

    Args:
        n: N, number of vectors.
        dim: D.
        k: neighbours wanted.
        settings: the values of configs/neighbors/auto.yaml.

    Raises:
        ValueError: `index` is not known.
    """
    index = settings["index"]
    if index not in INDEXES:
        raise ValueError(f"index is {index}; expected one of {', '.join(INDEXES)}")
    n_cells = max(1, min(n, round(settings["ivf"]["cells_per_root"] * math.sqrt(n))))
    if index != "auto":
        return Choice(index, n_cells if index == "ivf" else 0, f"asked for by neighbors.index={index}")
    cores = faiss.omp_get_max_threads()
    seconds = n * n * dim / (settings["products_per_second"] * cores)
    estimate = (
        f"exact search of {n:,} vectors of {dim} numbers is estimated to take {seconds:,.1f} s on {cores} "
        f"{'core' if cores == 1 else 'cores'}"
    )
    limit = f"neighbors.exact_seconds={settings['exact_seconds']:g}"
    if seconds <= settings["exact_seconds"]:
        return Choice("exact", 0, f"{estimate}, no more than {limit}")
    if n < _FEWEST_PER_VOTER * k:
        return Choice("exact", 0, f"{n:,} vectors are too few for an approximate search of {k} neighbours each")
    return Choice("ivf", n_cells, f"{estimate}, more than {limit}")
