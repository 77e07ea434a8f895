"""Which kind of file is it? By its ending, and by its first bytes where names say nothing, as in DICOM exports."""

from __future__ import annotations

import importlib
import stat
from pathlib import Path
from typing import Any, cast

from ssl_robust.data.formats.rules import Format

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".bmp", ".webp"})
_DICOM = frozenset({".dcm", ".dicom", ".ima"})
_VOLUMES = (".nii", ".nii.gz")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".zst", ".7z", ".rar", ".bz2", ".xz")
EXPECTED = ", ".join([*sorted(_PICTURES), *sorted(_DICOM), *_VOLUMES])
SEVERAL = frozenset({".tif", ".tiff"})  # pictures that are opened for a look at their pages before any is read


def kind_of(path: Path) -> str | None:
    """Name of the module of this package that reads the file: pictures, dicom or nifti; None for other files."""
    name = path.name.lower()
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        return "pictures"
    if suffix in _DICOM:
        return "dicom"
    if name.endswith(_VOLUMES):
        return "nifti"
    nameless = not suffix or suffix[1:].isdigit()  # `IM000001`, `1.2.840.113619.2`
    return "dicom" if nameless and path.name.upper() != "DICOMDIR" and _begins_as_dicom(path) else None


def is_archive(name: str) -> bool:
    """Whether a file of this name packs others, scans perhaps, which are not looked for in it."""
    return name.lower().endswith(_ARCHIVES)


def is_one_scan(path: Path) -> bool:
    """Whether the name alone says that the file is one scan of nobody who is named, so that it need not be opened."""
    return (suffix := path.suffix.lower()) in _PICTURES and suffix not in SEVERAL


def format_of(path: Path) -> Format:
    """The module that reads the file.

    Raises:
        OSError: it is not there.
        ValueError: no kind of file that is read here, or no file at all.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever, and a device may have no end
        raise ValueError("is no file but a folder, pipe, socket or device")
    kind = kind_of(path)
    if kind is None:
        raise ValueError(f"is no file of {EXPECTED}")
    module: Any = importlib.import_module(f"ssl_robust.data.formats.{kind}")
    return cast(Format, module)


def _begins_as_dicom(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
