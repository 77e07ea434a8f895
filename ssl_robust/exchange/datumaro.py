"""Scans -> a data set in Datumaro's own format, one annotation file per split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.splits import SPLITS
from ssl_robust.exchange.fields import attributes
from ssl_robust.exchange.images import place_images

_VERSION = "1.0"  # of the format, as Datumaro 1.x writes it
_IMAGE = 2  # its number for this type of media


def write_datumaro(manifest: Manifest, out: Path, *, place: Path, files: str, max_unreadable: float) -> str:
    """Write annotations/<split>.json, and images/<split>/… unless files are only referred to.

    Args:
        manifest: the scans, with the columns of an audit where one goes along.
        out: the folder to write into.
        place: what that folder will be called.
        files: one of `images.CHOICES`.
        max_unreadable: share of scans that may be left out.

    Returns:
        How to read it.
    """
    folders = [f"images/{split}" for split in manifest.table["split"]]
    placed = place_images(manifest, out, files, folders=folders, limit=max_unreadable)
    fields, codes, known = attributes(placed.manifest), placed.manifest.codes(), placed.manifest.table
    (out / "annotations").mkdir(parents=True)
    for split in SPLITS:
        items = [
            _item(known["sample_id"].iloc[row], placed.paths[row].removeprefix(f"images/{split}/"),
                  int(codes[row]), fields[row])
            for row in np.flatnonzero((known["split"] == split).to_numpy(dtype=bool))
        ]  # fmt: skip
        if items:
            content = {"dm_format_version": _VERSION, "media_type": _IMAGE, "infos": {},
                       "categories": _categories(manifest.classes), "items": items}  # fmt: skip
            text = json.dumps(content, indent=1, ensure_ascii=False)
            (out / "annotations" / f"{split}.json").write_text(text, encoding="utf-8")
    first = "" if placed.root is None else f"put or link the folder {placed.root} there as {place / 'images'}, then "
    return f"{first}datumaro.Dataset.import_from({str(place)!r}, 'datumaro')"


def _categories(classes: tuple[str, ...]) -> dict[str, Any]:
    labels = [{"name": name, "parent": "", "attributes": []} for name in classes]
    return {"label": {"labels": labels, "label_groups": [], "attributes": []}}


def _item(name: str, path: str, code: int, fields: dict[str, Any]) -> dict[str, Any]:
    label = {"id": 0, "type": "label", "attributes": {}, "group": 0, "label_id": code}
    attributes = {key: value for key, value in fields.items() if key != "split"}  # the subset is the split
    return {"id": name, "annotations": [label] if code >= 0 else [], "attr": attributes, "image": {"path": path}}
