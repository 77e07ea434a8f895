"""The folder of decoded scans: what lies there, and how it is cleared of that and of nothing else.

What headers say lies there, too, and goes with the scans.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_robust.data.headers import PREFIX, is_headers
from ssl_robust.files import UserError, read_json

_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{32}")  # as `ssl_robust.data.cache` names its files
_ENDINGS = (".json", ".npy", ".rows.npy")  # the description goes first: without it there is no cache
_DESCRIBED = {"bytes", "unreadable"}
_HEADERS = re.compile(rf"{PREFIX}[0-9a-f]{{32}}\.npz")


@dataclass(frozen=True)
class DecodedSet:
    """The decoded scans of one set at one geometry, or what the headers of one folder of data say.

    Attributes:
        files: description, squares and what belongs to them, as far as they are there.
        n_bytes: of all of them.
        used: when the squares were last written or opened, in seconds since 1970.
    """

    files: tuple[Path, ...]
    n_bytes: int
    used: float


def decoded_sets(folder: Path) -> list[DecodedSet]:
    """The sets in a folder of decoded scans, the one that was not used for longest first.

    A set counts by its names and its description, headers by their name and what the file holds; links and other files
    are none of ours.

    Args:
        folder: from `ssl_robust.data.cache.cache_directory`; it need not be there.
    """
    keys = [file.stem for file in folder.glob("*.json") if _KEY.fullmatch(file.stem) and _is_description(file)]
    headers = [file for file in folder.glob(f"{PREFIX}*.npz") if _HEADERS.fullmatch(file.name) and _is_file(file)]
    found = [
        *(_set_of([folder / f"{key}{ending}" for ending in _ENDINGS]) for key in keys),
        *(_set_of([file]) for file in headers if is_headers(file)),
    ]
    return sorted(found, key=lambda each: each.used)


def delete(sets: Sequence[DecodedSet]) -> int:
    """Delete sets; returns the bytes that became free.

    Raises:
        UserError: a file may not be deleted, e.g. since another process has it open (Windows).
    """
    freed = 0
    for each in sets:
        for file in each.files:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(
                    f"{file.name} cannot be deleted ({error.strerror or error}); "
                    "wait until no run uses it and clear the cache again"
                ) from None
        freed += each.n_bytes
    return freed


def _set_of(files: Sequence[Path]) -> DecodedSet:
    files = [file for file in files if _is_file(file)]
    states = [file.lstat() for file in files]
    # Descriptions and headers are opened to list them, so that their time of access says nothing.
    used = max(max(state.st_mtime, state.st_atime if file.suffix == ".npy" else 0)
               for file, state in zip(files, states, strict=True))  # fmt: skip
    return DecodedSet(tuple(files), sum(state.st_size for state in states), used)


def _is_description(file: Path) -> bool:
    with contextlib.suppress(UserError, OSError):
        return _is_file(file) and isinstance(notes := read_json(file), dict) and notes.keys() == _DESCRIBED
    return False


def _is_file(path: Path) -> bool:
    """A file itself, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
