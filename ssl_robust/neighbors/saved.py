"""The neighbours of an audit on disk, so that another audit of the same vectors need not search again.

`neighbors.npy` holds the rows (int32), `neighbors.similarities.npy` the similarities, `neighbors.json` how they were
found and of what. Plain arrays without pickles; nevertheless open only what you made yourself.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.neighbors.graph import Graph
from ssl_robust.records import Neighbors
from ssl_robust.run import UserError, read_json, replacing, write_json

_ROWS, _SIMILARITIES, _ABOUT = "neighbors.npy", "neighbors.similarities.npy", "neighbors.json"
_CHUNK = 65_536  # rows hashed together


def fingerprint(vectors: np.ndarray, rows: np.ndarray | None, groups: np.ndarray | None, *, center: bool) -> str:
    """What neighbours depend on, besides how they are searched, as one hash.

    Args:
        vectors: (M, D), read block by block.
        rows: (N,) rows of it that count; None: all.
        groups: (N,) who shares a patient; the codes themselves do not matter. None: nobody.
        center: whether the mean was taken off.
    """
    vectors = np.asarray(vectors)
    rows = np.arange(len(vectors)) if rows is None else np.asarray(rows)
    groups = np.arange(len(rows)) if groups is None else np.asarray(groups)
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    found = hashlib.blake2b(f"{vectors.dtype} {vectors.shape} {center}".encode(), digest_size=16)
    for start in range(0, len(vectors), _CHUNK):
        found.update(np.ascontiguousarray(vectors[start : start + _CHUNK]).data)
    found.update(rows.astype(np.int64).data)
    found.update(first[codes].astype(np.int64).data)  # each group by its first member
    return found.hexdigest()


def save_graph(directory: Path, graph: Graph, of: str) -> None:
    """Write the three files.

    Args:
        directory: a run directory.
        graph: what is to be kept.
        of: the `fingerprint` of what it was made of.
    """
    for name, values in ((_ROWS, graph.neighbors.indices.astype(np.int32)),
                         (_SIMILARITIES, graph.neighbors.similarities)):  # fmt: skip
        with replacing(directory / name) as temporary:
            np.save(temporary, values)
    write_json(directory / _ABOUT, {"of": of, "how": graph.how})


def read_saved(directory: Path) -> Neighbors | None:
    """The neighbours in a run directory, of the samples that the run itself names; None where it kept none.

    Args:
        directory: of an audit.
    """
    if not (directory / _ABOUT).is_file():
        return None
    rows, similarities = (np.load(directory / name, allow_pickle=False) for name in (_ROWS, _SIMILARITIES))
    return Neighbors(rows.astype(np.int64), similarities)


def read_graph(directory: str | Path, of: str, *, k: int, settings: dict[str, Any]) -> Graph:
    """Neighbours that an earlier audit saved, the k nearest of them.

    Args:
        directory: its run directory.
        of: the `fingerprint` of what they must have been made of.
        k: neighbours wanted.
        settings: `index` and `recall` that they must satisfy.

    Raises:
        UserError: nothing is saved there, or it was made of other vectors, patients or labelled samples, with fewer
            neighbours, or less exactly than asked for.
    """
    place = Path(directory).expanduser()
    if not (place / _ABOUT).is_file():
        raise UserError(
            f"neighbors.file={directory} holds no saved neighbours; give the run directory of an audit with "
            "neighbors.save=true"
        )
    about = read_json(place / _ABOUT)
    how = about["how"]
    if about["of"] != of:
        raise UserError(
            f"the neighbours in neighbors.file={directory} belong to other vectors, patients, labelled samples or "
            "another neighbors.center; leave neighbors.file out to search anew"
        )
    if how["k"] < k:
        raise UserError(
            f"neighbors.file={directory} holds {how['k']} neighbours of each sample and neighbors.k={k} are wanted; "
            "lower neighbors.k, or leave neighbors.file out"
        )
    wanted = settings["recall"]
    if how["kind"] != "exact" and settings["index"] == "exact":
        raise UserError(
            f"the neighbours in neighbors.file={directory} are not exact and neighbors.index=exact is wanted; "
            "leave neighbors.file out"
        )
    if how["kind"] != "exact" and how["recall_wanted"] < wanted:
        raise UserError(
            f"the neighbours in neighbors.file={directory} were searched for a recall of {how['recall_wanted']} and "
            f"{wanted:g} is wanted now; lower neighbors.recall, or leave neighbors.file out"
        )
    rows, similarities = (np.load(place / name, mmap_mode="r") for name in (_ROWS, _SIMILARITIES))
    found = Neighbors(rows[:, :k].astype(np.int64), np.array(similarities[:, :k]))
    return Graph(
        found, {**how, "k_used": k, "seconds": 0.0, "why": f"{how['why']}; saved by another audit and used again"}
    )
