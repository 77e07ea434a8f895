"""Files of other programs -> what was answered there: which scan, by whom, which class."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.fiftyone import labels_file, read_labels
from ssl_robust.data.labelstudio import answers_to, read_tasks
from ssl_robust.exchange.table import ANSWER
from ssl_robust.files import UserError

_KNOWN = ("sample_id", "path", "image")  # where a program may keep what names the scan, best first


class Given(NamedTuple):
    """One answer.

    Attributes:
        names: texts of which one names the scan, best first: its id, or the name of its image.
        annotator: who gave it, "" where that is not told.
        answer: the text that was chosen.
    """

    names: tuple[str, ...]
    annotator: str
    answer: str


def from_labelstudio(file: Path) -> Iterator[Given]:
    """The last choice of each annotator of each task (format JSON); skipped tasks have none."""
    for task in read_tasks(file):
        names = tuple(str(task["data"][name]) for name in _KNOWN if task["data"].get(name))
        for each in answers_to(task, None, file.name):
            yield Given(names, f"annotator {each.annotator}" if each.annotator else "", each.choice)


def from_cvat(file: Path) -> Iterator[Given]:
    """The tag of each image ("CVAT for images 1.1"); images without one have no answer.

    Raises:
        UserError: it is of another format, or an image has several tags.
    """
    text = file.read_bytes()
    try:
        if b"<!ENTITY" in text or b"<!DOCTYPE" in text:  # CVAT writes neither
            raise ValueError("it defines entities")
        images = list(ET.fromstring(text).iter("image"))
    except (ET.ParseError, ValueError) as error:
        raise UserError(f"{file} is not what CVAT exports as 'CVAT for images 1.1' ({error}); export the task's "
                        "annotations.xml again") from None  # fmt: skip
    for image in images:
        labels = {str(tag.get("label")) for tag in image.iter("tag")}
        if len(labels) > 1:
            raise UserError(f"{file}: the image {image.get('name')} has several tags ({', '.join(sorted(labels))}); "
                            "keep one")  # fmt: skip
        for label in labels:
            yield Given((str(image.get("name")),), "", label)


def from_fiftyone(place: Path) -> Iterator[Given]:
    """The label of each image of a FiftyOneImageClassificationDataset, or of its labels.json."""
    for key, label, fields in read_labels(labels_file(place)):
        if label is not None:
            yield Given((*([str(fields["sample_id"])] if "sample_id" in fields else []), key), "", label)


def from_csv(file: Path) -> Iterator[Given]:
    """The lines of a table (CSV, Excel, Parquet) whose cell `answer` is filled in; `annotator` says by whom.

    Raises:
        UserError: it has no column `sample_id` or `answer`.
    """
    table = read_table(file)
    for name in ("sample_id", ANSWER):
        if name not in table:
            raise UserError(f"{file} has no column {name!r}; expected sample_id, answer and perhaps annotator, as "
                            "`ssl-robust convert … to=csv queue=RUN` writes them")  # fmt: skip
    who = table["annotator"] if "annotator" in table else pd.Series(pd.NA, index=table.index, dtype="string")
    for name, answer, annotator in zip(table["sample_id"], table[ANSWER].str.strip(), who.fillna(""), strict=True):
        if not pd.isna(answer) and answer:
            yield Given((str(name),), str(annotator).strip(), str(answer))


READERS: dict[str, Callable[[Path], Iterator[Given]]] = {
    "labelstudio": from_labelstudio,
    "cvat": from_cvat,
    "fiftyone": from_fiftyone,
    "csv": from_csv,
}
