"""What the files of scans say of themselves, without decoding them: bytes, size, kind, and what their headers tell."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ssl_robust.data.formats.known import format_of, kind_of
from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.manifest import Manifest
from ssl_robust.data.splits import SPLITS, split_name
from ssl_robust.run import progress

NUMBERS = ("bytes", "height", "width")
_ORIENTATION, _LYING = 274, (5, 6, 7, 8)  # EXIF: pictures that are turned by a quarter when shown
_BITS = {"1": 1, "I;16": 16, "I;16B": 16, "I": 32, "F": 32}  # of Pillow's modes; all others have 8
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I", "F")


def file_facts(manifest: Manifest) -> pd.DataFrame:
    """One row per scan: `bytes`, `height` and `width` (NaN where unknown), and texts such as `format` and `bits`.

    Arrays have no files: their first scan in each split tells the size and the type of all.
    """
    files = manifest.source.files
    if files is None:
        return _of_arrays(manifest)
    several = list(dict.fromkeys(files))
    with ThreadPoolExecutor(min(64, os.cpu_count() or 1)) as pool:
        found = list(progress(pool.map(_look, several), total=len(several), what="looking at files"))
    row_of = {file: row for row, file in enumerate(several)}
    facts = pd.DataFrame(found).reindex(
        columns=list(dict.fromkeys([*NUMBERS, *(key for each in found for key in each)]))
    )
    facts = facts.iloc[[row_of[file] for file in files]].reset_index(drop=True)
    facts[list(NUMBERS)] = facts[list(NUMBERS)].astype(float)
    return facts


def folders(manifest: Manifest) -> np.ndarray | None:
    """(N,) codes of the folder that each file lies in, without the folders that name its label or its split.

    Codes rather than names: a folder may well be called after a patient. None where there are no files.
    """
    files = manifest.source.files
    if files is None:
        return None
    root = os.path.commonpath([str(file.parent) for file in files])
    labels = manifest.table["label"].fillna("").str.lower()
    below = []
    for file, label in zip(files, labels, strict=True):
        parts = PurePosixPath(Path(os.path.relpath(file.parent, root)).as_posix()).parts
        below.append("/".join(part for part in parts if part.lower() != label and not split_name(part)))
    return pd.factorize(pd.Series(below, dtype="string"))[0]


def tables(facts: pd.DataFrame, *, most: int = 12) -> dict[str, Any]:
    """How often each size and each text occurs, the most frequent first.

    Args:
        facts: as `file_facts` returns them.
        most: sizes and values of a text that are told.

    Returns:
        `sizes`: height, width and n each; `n_sizes`; `texts`: name -> value and n each; `bytes`: minimum, median and
        maximum, None where there are no files.
    """
    sizes = facts[["height", "width"]].dropna().astype(int).value_counts().reset_index(name="n")
    texts = {str(name): facts[name].dropna().value_counts() for name in facts if name not in NUMBERS}
    known = facts["bytes"].dropna().to_numpy(dtype=float)
    return {
        "sizes": sizes.head(most).to_dict("records"),
        "n_sizes": len(sizes),
        "texts": {
            name: [{"value": str(value), "n": int(n)} for value, n in counts.head(most).items()]
            for name, counts in texts.items()
            if len(counts)
        },
        "bytes": None
        if len(known) == 0
        else {"minimum": int(known.min()), "median": int(np.median(known)), "maximum": int(known.max())},
    }


def _of_arrays(manifest: Manifest) -> pd.DataFrame:
    facts = pd.DataFrame(np.nan, index=pd.RangeIndex(len(manifest)), columns=list(NUMBERS))
    for split in SPLITS:
        rows = manifest.rows(split)
        with contextlib.suppress(Exception):  # what cannot be read has been told of already
            first = manifest.source.read(int(rows[0]))
            facts.loc[rows, ["height", "width"]] = first.shape[:2]
            facts.loc[rows, "bits"] = str(8 * first.dtype.itemsize)
            facts.loc[rows, "color"] = "color" if first.ndim == 3 else "grey"
    return facts


def _look(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # a damaged file may raise anything; the scans that can be read are looked at
        facts["bytes"] = file.stat().st_size
        kind = kind_of(file)
        facts["format"] = str(kind)
        facts |= _of_picture(file) if kind == "pictures" else format_of(file).contents(file, Rules()).facts
    return facts


def _of_picture(file: Path) -> dict[str, Any]:
    with Image.open(file) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION) in _LYING:
            width, height = height, width
        grey = image.mode in _GREY
        return {
            "format": image.format, "height": height, "width": width, "bits": str(_BITS.get(image.mode, 8)),
            "color": "grey" if grey else "palette" if image.mode == "P" else "color",
        }  # fmt: skip


def used_bits(largest: int) -> int:
    """How many bits the values up to `largest` take."""
    return max(1, int(largest).bit_length())


def largest_values(manifest: Manifest, rows: np.ndarray) -> int:
    """The largest value that is stored in some scans at their full size."""
    largest = 0
    for row in rows:
        with contextlib.suppress(Exception):
            largest = max(largest, int(manifest.source.read(int(row)).max()))
    return largest
