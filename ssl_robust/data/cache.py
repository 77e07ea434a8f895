"""Scans decoded once: a memory-mapped array on disk, written whole or not at all.

Every process that finds no cache builds its own under a temporary name, and the last rename wins: two builders write
the same bytes, so no lock can go stale. The `.json` beside the array is written last; without it there is no cache.
What lies there are scans of patients: only their owner may read it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.data.decoding import Geometry, Pace, from_system, readable, reason, side_of, squares
from ssl_robust.data.growth import Earlier, earlier, keep
from ssl_robust.data.sources import Source, digest, of_pictures_alone
from ssl_robust.data.square_writer import SquareWriter
from ssl_robust.run import UserError, progress, read_json, replacing, write_json

_VERSION = "3"  # part of the key: raise it when decoding or resizing changes
_DIM = 14  # of 16 bits; scans that use no more are a quarter as bright as others, or less
_RELATIVES = 8  # caches that are searched for squares of a set that has grown


@dataclass(frozen=True)
class Decoded:
    """What the cache holds.

    Attributes:
        pixels: (n, S, S, C) of the readable rows, in order, read-only.
        unreadable: `{"row", "reason", "retry"}` of the others.
    """

    pixels: np.ndarray
    unreadable: list[dict[str, Any]]


def cache_directory(setting: str | None) -> Path:
    """`data.cache_dir`, else $SSL_ROBUST_CACHE, else the user's cache folder of this system."""
    if given := setting or os.environ.get("SSL_ROBUST_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ssl_robust"


def decoded(source: Source, n: int, geometry: Geometry, directory: Path) -> Decoded:
    """The scans of a source at one geometry: opened where they were decoded before, else decoded now.

    Of a set that has grown since, the new scans alone are decoded.

    Args:
        source: where the pixels are.
        n: number of rows.
        geometry: the shape asked for.
        directory: folder of the caches.

    Raises:
        UserError: no scan can be read, or the folder cannot be written.
    """
    place = _place(source, n, geometry, directory)
    found = _opened(place)
    if found is not None and not any(each["retry"] and readable(source, each["row"]) for each in found.unreadable):
        return found
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_leftovers(directory)
        _build(source, n, geometry, place, _relatives(place) if source.states is not None else [])
    except OSError as error:
        # Windows replaces no array that another process, which was faster, has open already.
        if (found := _opened(place)) is not None:
            return found
        raise UserError(
            f"cannot write decoded scans to {directory} ({error.strerror or error}); "
            "choose a folder with room for them by data.cache_dir=…"
        ) from None
    found = _opened(place)
    if found is None:
        raise UserError(f"{place.array} was changed by another process; run the same command again")
    return found


def undecoded(source: Source, n: int, geometry: Geometry, directory: Path) -> np.ndarray:
    """Rows that `decoded` would decode now, in ascending order; none where it would only open a cache.

    Args:
        source: as there.
        n: as there.
        geometry: as there.
        directory: as there.
    """
    place = _place(source, n, geometry, directory)
    if _opened(place) is not None:
        return np.arange(0)
    before, at = _most_of(source.states, side_of(source, n, geometry), _relatives(place))
    return np.flatnonzero(at < 0) if before else np.arange(n)


@dataclass(frozen=True)
class _Place:
    """The three files of a cache: squares, which scans they are of, and, written last, its description."""

    directory: Path
    key: str

    @property
    def array(self) -> Path:
        return self.directory / f"{self.key}.npy"

    @property
    def rows(self) -> Path:
        return self.directory / f"{self.key}.rows.npy"

    @property
    def description(self) -> Path:
        return self.directory / f"{self.key}.json"


def _place(source: Source, n: int, geometry: Geometry, directory: Path) -> _Place:
    shape = digest(_VERSION, repr(geometry))[:8]  # caches of one shape can take over each other's squares
    return _Place(directory, f"{shape}-{digest(source.state, str(n))}")


def _opened(place: _Place) -> Decoded | None:
    try:
        notes = read_json(place.description)
        if place.array.stat().st_size != notes["bytes"]:
            return None
        return Decoded(np.load(place.array, mmap_mode="r", allow_pickle=False), notes["unreadable"])
    except (UserError, OSError):  # none there, cut short by a power failure, or another user's
        return None


def _relatives(place: _Place) -> list[_Place]:
    """Caches of the same shape, the newest first."""
    found, directory = [], place.directory
    for description in directory.glob(f"{place.key.partition('-')[0]}-*.json"):
        with contextlib.suppress(OSError):  # another process may clear the folder
            found.append((description.stat().st_mtime, description.stem))
    return [_Place(directory, key) for _, key in sorted(found, reverse=True)[:_RELATIVES]]


def _build(source: Source, n: int, geometry: Geometry, place: _Place, relatives: list[_Place]) -> None:
    unreadable: list[dict[str, Any]] = []
    side, pace, started = side_of(source, n, geometry), Pace(), time.monotonic()
    before, at = _most_of(source.states, side, relatives)
    new = np.flatnonzero(at < 0) if before else np.arange(n)
    tops: set[int] = set()
    decoding = squares(source, new.tolist(), side, geometry, pace, tops)
    kinds: list[tuple[bool, bool]] = []
    with replacing(place.array, private=True) as temporary, temporary.open("w+b") as file:
        writer = SquareWriter(file, geometry.channels)
        for row, result in enumerate(progress(_merged(decoding, before, at, n), total=n, what="decoding scans")):
            if isinstance(result, Exception):
                unreadable.append({"row": row, "reason": reason(result), "retry": from_system(result)})
            else:
                writer.append(result)
                kinds.append((result.ndim == 2, result.dtype == np.uint8))
        if writer.n == 0:
            raise UserError(f"none of the {n} scans can be read; the first one: {unreadable[0]['reason']}")
        writer.finish()
        n_bytes = os.fstat(file.fileno()).st_size
    if source.states is not None:
        keep(place.rows, np.delete(source.states, [each["row"] for each in unreadable]), kinds)
    write_json(place.description, {"bytes": n_bytes, "unreadable": unreadable}, private=True)
    if pace.scans:  # of files; arrays need no decoding
        taken = f", took {n - len(new):,} over from an earlier time" if before else ""
        scans = f"{len(new):,} {'scan' if len(new) == 1 else 'scans'}"
        print(f"Decoded {scans} in {time.monotonic() - started:.1f} s{taken} (one core: {pace.in_words()})",
              flush=True)  # fmt: skip
    if tops and of_pictures_alone(source):
        _say_dim(max(tops))


def _say_dim(top: int) -> None:
    """A note where 16-bit pictures use so few of their bits that they would look black."""
    if 0 < top.bit_length() <= _DIM:
        print(
            f"Note: the scans use {top.bit_length()} of their 16 bits (largest value {top:,}); "
            f"'data.window=[0,{2 ** top.bit_length() - 1}]' makes them as bright as others",
            file=sys.stderr,
        )


def _most_of(states: np.ndarray | None, side: int, relatives: list[_Place]) -> tuple[Earlier | None, np.ndarray]:
    """The cache that holds most of the scans already, and where in it each of them is, -1 for the new ones."""
    best: Earlier | None = None
    found = np.full(0 if states is None else len(states), -1)
    for place in relatives if states is not None else []:
        other = earlier(place.array, place.rows) if _opened(place) is not None else None
        if other is None or states is None or other.pixels.shape[1] != side:
            continue
        at = other.find(states)
        if (at >= 0).sum() > (found >= 0).sum():
            best, found = other, at
    return best, found


def _merged(
    decoding: Iterator[np.ndarray | Exception], before: Earlier | None, at: np.ndarray, n: int
) -> Iterator[np.ndarray | Exception]:
    """All rows in order, those that were there before and those that are decoded now."""
    for row in range(n):
        yield before.square(int(at[row])) if before is not None and at[row] >= 0 else next(decoding)


def _remove_leftovers(directory: Path) -> None:
    """Delete what killed builders left: temporary files that nobody wrote to for a day."""
    for path in [each for ending in ("npy", "json", "npz") for each in directory.glob(f".*.{ending}")]:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > 86400:
                path.unlink()
