"""Scans -> a table that any program reads, `data=csv` of this one too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.written import write_table
from ssl_robust.exchange.images import place_images

LABELS = "labels.csv"
FROM_AUDIT = ("suggested_label", "score", "p_mislabeled", "rank")  # p_mislabeled where it is calibrated
COLUMNS = ("path", "label", "patient_id", "split", "sample_id", "true_label", "given", *FROM_AUDIT)
ANSWER, UNSURE = "answer", "unsure"  # what readers of a queue fill in, and write where they cannot tell


def write_csv(manifest: Manifest, out: Path, *, place: Path, files: str, max_unreadable: float) -> str:
    """Write labels.csv, a line for each scan.

    Args:
        manifest: the scans, with the columns of an audit where one goes along.
        out: the folder to write into.
        place: what that folder will be called.
        files: one of `images.CHOICES`.
        max_unreadable: share of scans that may be left out.

    Returns:
        How to read it.
    """
    placed = place_images(manifest, out, files, folders=["images"] * len(manifest), limit=max_unreadable)
    write_labels(out, placed.manifest, placed.paths)
    root = "" if placed.root is None else f" data.root={placed.root}"
    return f"ssl-robust reads it with data=csv data.path={place / LABELS}{root}"


def write_labels(out: Path, manifest: Manifest, paths: Sequence[str]) -> None:
    """Write labels.csv: all that is known of the scans; columns of which nothing is known are left out.

    Args:
        out: folder of the table.
        manifest: the scans.
        paths: (N,) their files.
    """
    table = manifest.table.assign(path=list(paths))
    known = [name for name in COLUMNS if name in table and table[name].notna().to_numpy().any()]
    write_table(out / LABELS, pd.DataFrame(table[[*known, *([ANSWER] if ANSWER in table else [])]]))
