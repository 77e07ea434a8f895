"""Scans -> a FiftyOneImageClassificationDataset."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from ssl_robust.data.manifest import Manifest
from ssl_robust.exchange.fields import attributes
from ssl_robust.exchange.images import place_images
from ssl_robust.run import UserError

_TYPE = "dataset_type=fiftyone.types.FiftyOneImageClassificationDataset"


def write_fiftyone(manifest: Manifest, out: Path, *, place: Path, files: str, max_unreadable: float) -> str:
    """Write labels.json, and data/… unless files are only referred to.

    What else is known of a scan goes along as attributes of its label, which FiftyOne shows and exports again
    (`include_attributes=None`); `samples`, which FiftyOne passes over, has the same for the scans without a label.

    Args:
        manifest: the scans, with the columns of an audit where one goes along.
        out: the folder to write into.
        place: what that folder will be called.
        files: one of `images.CHOICES`.
        max_unreadable: share of scans that may be left out.

    Returns:
        How to read it.

    Raises:
        UserError: files that differ in their endings only are referred to; FiftyOne names them without.
    """
    placed = place_images(manifest, out, files, folders=["data"] * len(manifest), limit=max_unreadable)
    keys = [PurePosixPath(path).with_suffix("").as_posix() for path in placed.paths]
    if placed.root is None:
        keys = [key.removeprefix("data/") for key in keys]
    if repeated := [key for key, n in Counter(keys).items() if n > 1]:
        raise UserError(f"several files are called {repeated[0]} but for their endings, which FiftyOne does not tell "
                        "apart; take to.files=copy")  # fmt: skip
    known = placed.manifest
    samples, labels = {}, {}
    for key, name, code, fields in zip(keys, known.table["sample_id"], known.codes(), attributes(known), strict=True):
        samples[key] = {"sample_id": name, **fields}
        labels[key] = _target(int(code), samples[key])
    content = {"classes": list(manifest.classes), "labels": labels,
               "samples": {key: samples[key] for key in keys if labels[key] is None}}  # fmt: skip
    (out / "labels.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    where = f"dataset_dir={str(place)!r}"
    if placed.root is not None:
        where = f"labels_path={str(place / 'labels.json')!r}, data_path={str(placed.root)!r}"
    order = '.sort_by("ground_truth.rank")' if "rank" in known.table else ""
    return f"fiftyone.Dataset.from_dir({where}, {_TYPE}){order}"


def _target(code: int, fields: dict[str, Any]) -> dict[str, Any] | None:
    return {"label": code, "attributes": fields} if code >= 0 else None
