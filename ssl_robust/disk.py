"""Is the disk full? Libraries say so in many ways."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_WORDS = ("no space left", "requested and", "disk quota exceeded", "not enough space", "os error 28", "os error 122")
_NOTHING_LEFT = 1 << 16  # bytes; with less than that free, a failed write failed for want of room


def is_full(error: BaseException, *places: str | Path) -> bool:
    """Whether an error came of a full disk.

    Args:
        error: what was raised; what it was raised from counts too. Writers in other languages (torch's, safetensors')
            raise errors of their own, with or without the system's words.
        places: where was written; asked for free room where the error is an I/O error that says nothing.
    """
    chain = list(_chain(error))
    if any(isinstance(each, OSError) and each.errno in _FULL for each in chain):
        return True
    if any(word in str(each).lower() for each in chain for word in _WORDS):
        return True
    writing = any(isinstance(each, OSError) or "writ" in str(each).lower() for each in chain)
    return writing and any(free_bytes(place) < _NOTHING_LEFT for place in places)


def free_bytes(place: str | Path) -> int:
    """Free room on the disk of a path, which need not exist yet."""
    path = Path(place).expanduser().absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
