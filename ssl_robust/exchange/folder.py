"""Scans -> a tree of class folders, as torchvision's ImageFolder and most other tools read it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ssl_robust.data.manifest import Manifest
from ssl_robust.exchange.images import place_images
from ssl_robust.exchange.table import LABELS, write_labels
from ssl_robust.run import UserError


def write_folder(manifest: Manifest, out: Path, *, place: Path, files: str, splits: bool, max_unreadable: float) -> str:
    """Write `train/CLASS/x.png`, and labels.csv with what a tree has no place for (ids, patients).

    Scans without a label lie above the class folders, where ImageFolder does not look.

    Args:
        manifest: the scans.
        out: the folder to write into.
        place: what that folder will be called.
        files: copy, link, png, or auto.
        splits: folders of the splits above those of the classes.
        max_unreadable: share of scans that may be left out.

    Returns:
        How to read it.

    Raises:
        UserError: a class whose name no folder can have.
    """
    for name in manifest.classes:
        if name in (".", "..") or name[0] == "." or set(name) & set('/\\:*?"<>|\0') or not name.isprintable():
            raise UserError(f"the class {name!r} cannot be the name of a folder; rename it, or take another to=")
    labels, tops = manifest.table["label"], manifest.table["split"]
    folders = [
        "/".join([*([split] if splits else []), *([] if pd.isna(label) else [label])])
        for label, split in zip(labels, tops, strict=True)
    ]
    placed = place_images(manifest, out, files, folders=folders, limit=max_unreadable, may_refer=False)
    write_labels(out, placed.manifest, placed.paths)
    where = place / "train" if splits else place
    return (
        f"torchvision.datasets.ImageFolder({str(where)!r}); with ids and patients, ssl-robust reads it with data=csv "
        f"data.path={place / LABELS}"
    )
