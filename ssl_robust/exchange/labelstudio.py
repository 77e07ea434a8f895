"""Scans -> tasks of Label Studio, with the labels as annotations and an audit's suggestions as predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd

from ssl_robust.data.manifest import Manifest
from ssl_robust.exchange.fields import attributes
from ssl_robust.exchange.images import place_images

_CONTROL, _OBJECT = "label", "image"  # names of the choices and of the picture in config.xml
_MODEL = "ssl-robust audit"


def write_labelstudio(
    manifest: Manifest, out: Path, *, place: Path, files: str, prefix: str | None, max_unreadable: float
) -> str:
    """Write tasks.json and config.xml, the labelling interface that its annotations fit.

    With an audit, the tasks stand in the order in which looking pays most, and each has the audit's suggestion as a
    prediction whose score is the audit's: higher = the label more likely wrong. True labels are left out.

    Args:
        manifest: the scans, with the columns of an audit where one goes along.
        out: the folder to write into.
        place: what that folder will be called.
        files: one of `images.CHOICES`.
        prefix: folder of the scans as seen from Label Studio's document root; None: its own name.
        max_unreadable: share of scans that may be left out.

    Returns:
        How to import it.
    """
    placed = place_images(manifest, out, files, folders=["images"] * len(manifest), limit=max_unreadable)
    folder = place.absolute() if placed.root is None else placed.root
    start = folder.name if prefix is None else prefix.strip("/")
    table, fields = placed.manifest.table, attributes(placed.manifest, truth=False)
    order = range(len(table))
    if "rank" in table:
        order = np.argsort(table["rank"].to_numpy(dtype=np.float64, na_value=np.inf), kind="stable").tolist()
    ids, labels = table["sample_id"].tolist(), table["label"].astype(object).tolist()
    addresses = [f"/data/local-files/?d={quote(f'{start}/{path}'.lstrip('/'))}" for path in placed.paths]
    tasks = [_task(addresses[row], ids[row], labels[row], fields[row]) for row in order]
    (out / "tasks.json").write_text(json.dumps(tasks, indent=1, ensure_ascii=False), encoding="utf-8")
    (out / "config.xml").write_text(_interface(manifest.classes), encoding="utf-8")
    scans = folder / "images" if placed.root is None else folder
    return (
        "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={folder.parent}, make a project with the labelling interface of "
        f"config.xml, add the local storage {scans} to it without syncing, and import tasks.json"
    )


def _task(address: str, name: str, label: Any, fields: dict[str, Any]) -> dict[str, Any]:
    task: dict[str, Any] = {"data": {_OBJECT: address, "sample_id": name, **fields}}
    if not pd.isna(label):
        task["annotations"] = [{"result": [_choice(label)]}]
    if "suggested_label" in fields:
        task["predictions"] = [
            {"model_version": _MODEL, "score": fields.get("score"), "result": [_choice(fields["suggested_label"])]}
        ]
    return task


def _choice(name: str) -> dict[str, Any]:
    return {"from_name": _CONTROL, "to_name": _OBJECT, "type": "choices", "value": {"choices": [name]}}


def _interface(classes: tuple[str, ...]) -> str:
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in classes)
    return (
        f'<View>\n  <Image name="{_OBJECT}" value="${_OBJECT}" zoom="true"/>\n'
        f'  <Choices name="{_CONTROL}" toName="{_OBJECT}" choice="single" showInLine="true">\n{choices}'
        "  </Choices>\n</View>\n"
    )
