"""A table that is compressed, or is none, is looked at before it is read: one that would fill the memory is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path
from typing import IO, Any, cast

from ssl_robust.files import UserError

_SMALL = 256 * 2**20  # bytes, which any memory holds
_MOST_PACKED = 100  # bytes from one byte; a bomb reaches 1,000
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_BLOCK = 2**20
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how such a text begins where it says so


def check_unpacked(path: Path) -> None:
    """Refuse what is no text, and what unpacks to far more than a table does.

    Args:
        path: a CSV file, perhaps compressed, its ending says how.

    Raises:
        UnicodeError: it begins with zero bytes, as files of numbers do, and texts in UTF-16 that do not say so.
        ValueError: it is one endless line.
        OSError: it is damaged.
        UserError: it is too large for its compressed size.
    """
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            _check(path, sum(info.file_size for info in archive.infolist()))
        return
    opened = _OPENERS.get(path.suffix)
    with opened(path) if opened else path.open("rb") as stream:
        file = cast(IO[bytes], stream)
        block = file.read(_BLOCK)
        if b"\0" in block and not block.startswith(UTF16):
            raise UnicodeError("it is no text")
        if len(block) == _BLOCK and not {10, 13} & set(block):
            raise ValueError("its first line has no end")
        unpacked = len(block)
        while opened and (block := file.read(_BLOCK)):
            unpacked += len(block)
            _check(path, unpacked)


def _check(path: Path, unpacked: int) -> None:
    packed = path.stat().st_size
    if unpacked > max(_SMALL, _MOST_PACKED * packed):
        raise UserError(
            f"{path} unpacks {packed:,} bytes to more than {unpacked // _BLOCK:,} MiB, as no table of scans does; "
            "where it is right nevertheless, unpack it yourself"
        )
