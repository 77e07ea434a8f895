"""Which files can be read here, and which of the optional libraries are missing."""

from __future__ import annotations

import contextlib
import re
from importlib import metadata, util
from typing import Any

_PICTURES = {"JPEG": "jpg", "PNG": "zlib", "compressed TIFF": "libtiff", "WebP": "webp", "JPEG 2000": "jpg_2000"}
_TABLES = {"Parquet": ("pyarrow", "fastparquet"), "Excel": ("openpyxl",)}
_EXTRA = re.compile(r"""([\w.-]+)[^;]*;.*extra == ['"]([\w-]+)['"]""")


def pictures() -> dict[str, bool]:
    """Format -> whether this build of Pillow reads it."""
    from PIL import features

    return {name: bool(features.check(library)) for name, library in _PICTURES.items()}


def dicom() -> dict[str, bool]:
    """Compression that pydicom knows -> whether all of its transfer syntaxes can be decoded here."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import AllTransferSyntaxes

    known: dict[str, bool] = {}
    for syntax in AllTransferSyntaxes:
        with contextlib.suppress(NotImplementedError):  # videos, which nobody decodes
            name = compression(syntax.name)
            known[name] = known.get(name, True) and get_decoder(syntax).is_available
    return known


def compression(syntax: str) -> str:
    """What a transfer syntax is called in short: "JPEG Baseline (Process 1)" -> "JPEG Baseline"."""
    return "uncompressed" if "Endian" in syntax else re.split(r" \(|,| with| Image", syntax)[0]


def tables() -> dict[str, bool]:
    """Kind of table -> whether a library that reads it is here; CSV needs none."""
    return {name: any(util.find_spec(each) for each in modules) for name, modules in _TABLES.items()}


def extras(requirements: list[str] | None = None) -> dict[str, list[str]]:
    """`pip install "ssl-robust[NAME]"` -> the libraries of it that are missing; an empty list: it is here.

    Args:
        requirements: as a package states them; None: those of ssl-robust.
    """
    found: dict[str, list[str]] = {}
    for requirement in metadata.requires("ssl-robust") or [] if requirements is None else requirements:
        match = _EXTRA.match(requirement)
        if match and match.group(2) != "dev":
            missing = found.setdefault(match.group(2), [])
            missing += [] if _is_installed(match.group(1)) else [match.group(1)]
    return found


def readers() -> dict[str, Any]:
    """All of the above by name."""
    return {"pictures": pictures(), "dicom": dicom(), "tables": tables()}


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
