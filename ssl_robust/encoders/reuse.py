"""Vectors of an earlier run that a set which has grown need not have computed again.

A vector follows from the encoder and the pixels it sees, so these decide, and neither names nor times of files: a file
that was renamed or copied is known again, and one with other pixels under an old name is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm

from ssl_robust.encoders.embedding_files import VECTORS, read_embeddings
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.fingerprints import encoder_fingerprint
from ssl_robust.files import existing
from ssl_robust.run import UserError, read_json, read_run

ABOUT = "embeddings.json"  # what the vectors follow from, so that other vectors are never mixed in
PIXELS = "pixels.npy"  # (N,) uint64, a hash of each scan's pixels as the encoder saw them


@dataclass(frozen=True)
class Taken:
    """Vectors that are there already.

    Attributes:
        rows: (n,) rows of the scans, in ascending order.
        vectors: (M, D) float32 of the earlier run.
        places: (n,) where in `vectors` each of them is.
        words: for the screen.
    """

    rows: np.ndarray
    vectors: np.ndarray
    places: np.ndarray
    words: str = ""


def made_with(encoder: Encoder) -> dict[str, str]:
    """What must be equal before two runs share vectors: name -> value. One timm may compute otherwise than another."""
    made = {"encoder": encoder_fingerprint(encoder), "precision": str(encoder.autocast)}
    return {**made, "version of timm": timm.__version__}


def check_reusable(path: str | Path) -> Path:
    """The directory that `reuse` names.

    Raises:
        UserError: no finished embed run is there.
    """
    place = existing(path, "reuse", folder=True)
    read_run(place, stage="embed")
    if not (place / VECTORS).is_file():
        raise UserError(f"reuse={path} is an unfinished embed run; end it first, with its own command and resume=true")
    return place


def nothing(dim: int, words: str = "") -> Taken:
    """No vector.

    Args:
        dim: D.
        words: why not.
    """
    return Taken(np.empty(0, np.int64), np.empty((0, dim), np.float32), np.empty(0, np.int64), words)


def take_over(path: str | Path, made: dict[str, str], hashes: np.ndarray, dim: int) -> Taken:
    """Those vectors of a finished embed run that scans of another set would get.

    Args:
        path: its directory.
        made: from `made_with`, of the encoder that would compute them.
        hashes: (N,) uint64 from `pixel_hashes`, of the scans.
        dim: D of the encoder.

    Raises:
        UserError: no finished embed run is there, or it is damaged.
    """
    place = check_reusable(path)
    about = read_json(place / ABOUT) if (place / ABOUT).is_file() else {}
    why = next((f"with another {name}" for name, value in made.items() if about.get(name) != value), None)
    if "encoder" not in about:
        why = "by an older ssl-robust, which did not note of which pixels"
    if why is not None:
        words = f"Nothing is taken over from reuse={path}, whose vectors were made {why}: all {len(hashes):,} scans are"
        return nothing(dim, f"{words} encoded")
    vectors, known = read_embeddings(place).vectors, _read_pixels(place / PIXELS)
    if known.shape != (len(vectors),) or vectors.shape[1] != dim:
        raise UserError(f"reuse={path} is damaged: its {VECTORS} and {PIXELS} do not fit; leave reuse= out")
    order = np.argsort(known, kind="stable")
    at = order[np.searchsorted(known, hashes, sorter=order).clip(max=len(known) - 1)]
    rows = np.flatnonzero(known[at] == hashes)
    words = f"Took {len(rows):,} vectors over from {path}, {len(hashes) - len(rows):,} scans are encoded"
    return Taken(rows, vectors, at[rows], words)


def _read_pixels(path: Path) -> np.ndarray:
    try:
        known = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        known = np.empty(0)
    return known if known.dtype == np.uint64 else np.empty(0, np.uint64)
