"""What an audit left behind -> pictures for its page, each encoded once, and the labels of all samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.audit_table import find_audit_table
from ssl_robust.data.written import unguarded
from ssl_robust.report.artefacts import tile

_SMALL = 64  # pixels; a neighbour is looked at beside the suspect, not by itself
_COLUMNS = frozenset({"sample_id", "label", "suggested_label", "p_mislabeled", "patient_verdict"})


def pictured(found: Mapping[str, Any]) -> dict[str, int]:
    """suspects.json -> the picture in thumbnails.npz of each sample that has one.

    Args:
        found: `pictured`, ids in the order of the pictures; without it those of the suspects and their neighbours.
    """
    if not found["has_thumbnails"]:
        return {}
    if "pictured" in found:
        return {name: number for number, name in enumerate(found["pictured"])}
    scans = [scan for each in found["suspects"] for scan in (each, *each["neighbors"])]
    return {each["sample_id"]: each["thumbnail"] for each in scans}


def tiles(path: Path, *, large: Iterable[int | None], small: Iterable[int | None]) -> list[str]:
    """thumbnails.npz -> one `data:` address per picture, "" for those that the page does not show.

    Args:
        path: the file.
        large: pictures that stay as large as they are; None is none.
        small: pictures that are reduced to 64 pixels.
    """
    with np.load(path, allow_pickle=False) as file:
        images = file["images"]
    sides = {**dict.fromkeys(small, _SMALL), **dict.fromkeys(large)}
    return [tile(image, side=sides[i]) if i in sides else "" for i, image in enumerate(images)]


def read_labels(directory: Path) -> pd.DataFrame:
    """The audit's table -> id, label, suggestion, probability and patient's verdict of each sample, as texts; NA where
    empty.

    The neighbours, most of the file, are not kept. No rows where there is no such file.

    Args:
        directory: the run directory.
    """
    path = find_audit_table(directory)
    if path is None:
        return pd.DataFrame({"sample_id": pd.Series(dtype="string")})
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        there = [name for name in parquet.read_schema(path).names if name in _COLUMNS]
        return pd.read_parquet(path, columns=there).astype("string")
    return unguarded(
        pd.read_csv(path, usecols=lambda name: name in _COLUMNS, dtype="string", keep_default_na=False, na_values=[""])
    )
