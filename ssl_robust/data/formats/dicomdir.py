"""DICOMDIR: the list of the pictures on a disc or in an export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom import dcmread

from ssl_robust.data.formats.dicom_header import quiet
from ssl_robust.files import UserError


def listed(path: Path) -> list[str]:
    """The pictures that a DICOMDIR lists, relative to its folder, with `/`, in the order of the list.

    Discs that a computer shows with names in small letters are understood; other records (reports, plans) are passed
    over.

    Raises:
        UserError: no DICOMDIR, it lists no picture, or a path leads out of its folder.
    """
    quiet()
    try:
        records = list(dcmread(path, specific_tags=["DirectoryRecordSequence"]).DirectoryRecordSequence)
        places = [_place(record) for record in records if record.get("DirectoryRecordType") == "IMAGE"]
    except Exception:  # pydicom raises anything, and quotes what stands in the file
        raise UserError(f"data.path={path} cannot be read as a DICOMDIR; give the folder of its pictures") from None
    places = [place for place in places if place]
    if not places:
        raise UserError(f"data.path={path} lists no picture; give the folder of its pictures")
    return [_inside(path, place) for place in dict.fromkeys(places)]


def _place(record: Any) -> tuple[str, ...]:
    """The folders and the file that a record names."""
    place = record.get("ReferencedFileID") or ()
    return (place,) if isinstance(place, str) else tuple(map(str, place))


def _inside(path: Path, place: tuple[str, ...]) -> str:
    root = path.parent
    name = "/".join(place)
    found = next((each for each in (name, name.lower()) if (root / each).exists()), name)
    # One component after the other: a slash or a drive in one of them leads anywhere.
    plain = all(each not in ("", ".", "..") and not set(each) & set("/\\:\0") for each in place)
    if not plain or not (root / found).resolve().is_relative_to(root.resolve()):
        raise UserError(f"data.path={path} lists a file outside its folder; give the folder of its pictures")
    return found
