"""Scans -> a task of CVAT whose first images are those that an audit would look at first."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.written import write_table
from ssl_robust.exchange.images import place_images
from ssl_robust.exchange.table import FROM_AUDIT
from ssl_robust.files import UserError

_VERSION = "1.1"  # of "CVAT for images"; https://docs.cvat.ai/docs/dataset_management/formats/format-xml/
_LONGEST = 64  # letters of a label; CVAT cuts longer ones off, so that annotations.xml would name unknown labels
_SHOWN = ("suggested_label", "score")  # what an annotator sees beside the label


def write_cvat(manifest: Manifest, out: Path, *, place: Path, files: str, max_unreadable: float) -> str:
    """Write images/, annotations.xml with the labels as tags, labels.json for the task, and samples.csv.

    CVAT shows images in the order of their names, so that these are numbers, the first suspect first; they say nothing
    of patients or folders. samples.csv says which scan a number is. True labels and patients are left out.

    Args:
        manifest: the scans, with the columns of an audit where one goes along.
        out: the folder to write into.
        place: what that folder will be called.
        files: copy, link, png or auto.
        max_unreadable: share of scans that may be left out.

    Returns:
        How to make the task.

    Raises:
        UserError: a class whose name cannot be a label of CVAT.
    """
    for name in manifest.classes:
        if not name.isprintable() or len(name) > _LONGEST:
            raise UserError(f"the class {name!r} cannot be a label of CVAT (printable, at most {_LONGEST} letters); "
                            "rename it, or take another to=")  # fmt: skip
    manifest = _numbered(manifest)
    folders = ["images"] * len(manifest)
    placed = place_images(manifest, out, files, folders=folders, limit=max_unreadable, may_refer=False)
    table = placed.manifest.table
    shown = [name for name in _SHOWN if name in table]
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = _VERSION
    root.append(_task(manifest.classes, len(table), shown))
    columns = [table[name].astype(object).tolist() for name in ("label", *shown)]
    for row, (path, label, *values) in enumerate(zip(placed.paths, *columns, strict=True)):
        with Image.open(out / path) as image:
            root.append(_image(row, path, image.size, label, dict(zip(shown, values, strict=True))))
    ET.indent(root)
    ET.ElementTree(root).write(out / "annotations.xml", encoding="utf-8", xml_declaration=True)
    attributes = [_attribute(name) for name in shown]
    labels = [{"name": name, "type": "tag", "attributes": attributes} for name in manifest.classes]
    (out / "labels.json").write_text(json.dumps(labels, indent=1, ensure_ascii=False), encoding="utf-8")
    known = [name for name in ("sample_id", "label", "split", *FROM_AUDIT) if name in table]
    write_table(out / "samples.csv", table[known].assign(path=placed.paths))
    return (
        f"in CVAT make a task with labels.json as raw labels and the files of {place / 'images'}, sorted "
        "lexicographically (Segment size: 50 makes jobs of 50, the first suspects in the first), then upload "
        "annotations.xml as CVAT 1.1"
    )


def _numbered(manifest: Manifest) -> Manifest:
    """The scans in the order of their ranks, those without one last, with that place as their path.

    The key by which answers of a queue come back stands behind it.
    """
    order = np.arange(len(manifest))
    if "rank" in manifest.table:
        order = np.argsort(manifest.table["rank"].to_numpy(dtype=np.float64, na_value=np.inf), kind="stable")
    ordered = manifest.take(order)
    digits = len(str(len(ordered)))
    keys = [f"-{key}" for key in ordered.table["key"]] if "key" in ordered.table else [""] * len(ordered)
    names = pd.array([f"{number:0{digits}d}{key}" for number, key in enumerate(keys, start=1)], dtype="string")
    return replace(ordered, table=ordered.table.assign(path=names))


def _task(classes: Sequence[str], n: int, shown: Sequence[str]) -> ET.Element:
    """What the task must be like, as CVAT writes it."""
    meta = ET.Element("meta")
    task = ET.SubElement(meta, "task")
    ET.SubElement(task, "size").text = str(n)
    ET.SubElement(task, "mode").text = "annotation"
    labels = ET.SubElement(task, "labels")
    for name in classes:
        label = ET.SubElement(labels, "label")
        ET.SubElement(label, "name").text = name
        ET.SubElement(label, "type").text = "tag"
        attributes = ET.SubElement(label, "attributes")
        for each in shown:
            attribute = ET.SubElement(attributes, "attribute")
            for key, value in _attribute(each).items():
                ET.SubElement(attribute, key).text = "\n".join(value) if isinstance(value, list) else str(value)
    return meta


def _attribute(name: str) -> dict[str, Any]:
    return {"name": name, "mutable": False, "input_type": "text", "default_value": "", "values": [""]}


def _image(number: int, path: str, size: tuple[int, int], label: Any, values: dict[str, Any]) -> ET.Element:
    image = ET.Element("image", id=str(number), name=path, width=str(size[0]), height=str(size[1]))
    if not pd.isna(label):
        tag = ET.SubElement(image, "tag", label=label, source="manual")
        for name, value in values.items():
            if not pd.isna(value):
                ET.SubElement(tag, "attribute", name=name).text = str(value)
    return image
