"""Scans decoded once: a memory-mapped array on disk, written whole or not at all.

Every process that finds no cache builds its own under a temporary name, and the last rename wins: two builders write
the same bytes, so no lock can go stale. The `.json` beside the array is written last; without it there is no cache.
What lies there are scans of patients: only their owner may read it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from ssl_robust.data.scans import fit, with_channels, without_color
from ssl_robust.data.sources import Source, digest, of_pictures_alone, read_together
from ssl_robust.run import UserError, progress, read_json, replacing, write_json

T = TypeVar("T")
_VERSION = "2"  # part of the key: raise it when decoding or resizing changes
_HEADER = 128  # bytes; NumPy pads its header to a multiple of 64, and four dimensions always need this many
_AUTO_SIDE = 64
_DIM = 14  # of 16 bits; scans that use no more are a quarter as bright as others, or less


@dataclass(frozen=True)
class Geometry:
    """The shape that is asked for; None = whatever the scans suggest."""

    image_size: int | None
    channels: int | None
    resize: str


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

    Args:
        source: where the pixels are.
        n: number of rows.
        geometry: the shape asked for.
        directory: folder of the caches.

    Raises:
        UserError: no scan can be read, or the folder cannot be written.
    """
    key = digest(_VERSION, source.state, str(n), repr(geometry))
    array, description = directory / f"{key}.npy", directory / f"{key}.json"
    found = _opened(array, description)
    if found is not None and not any(each["retry"] and _readable(source, each["row"]) for each in found.unreadable):
        return found
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_leftovers(directory)
        _build(source, n, geometry, array, description)
    except OSError as error:
        # Windows replaces no array that another process, which was faster, has open already.
        if (found := _opened(array, description)) is not None:
            return found
        raise UserError(
            f"cannot write decoded scans to {directory} ({error.strerror or error}); "
            "choose a folder with room for them by data.cache_dir=…"
        ) from None
    found = _opened(array, description)
    if found is None:
        raise UserError(f"{array} was changed by another process; run the same command again")
    return found


def _opened(array: Path, description: Path) -> Decoded | None:
    try:
        notes = read_json(description)
        if array.stat().st_size != notes["bytes"]:
            return None
        return Decoded(np.load(array, mmap_mode="r", allow_pickle=False), notes["unreadable"])
    except (UserError, OSError):  # none there, cut short by a power failure, or another user's
        return None


def _build(source: Source, n: int, geometry: Geometry, array: Path, description: Path) -> None:
    unreadable: list[dict[str, Any]] = []
    with replacing(array, private=True) as temporary, temporary.open("w+b") as file:
        writer = _Writer(file, geometry.channels)
        size = geometry.image_size or min(_AUTO_SIDE, _first_side(source, n))
        tops: set[int] = set()
        results = _decode_all(source, n, partial(_square, size=size, geometry=geometry, tops=tops))
        for row, result in enumerate(progress(results, total=n, what="decoding scans")):
            if isinstance(result, Exception):
                unreadable.append({"row": row, "reason": _reason(result), "retry": _from_system(result)})
            else:
                writer.append(result)
        if writer.n == 0:
            raise UserError(f"none of the {n} scans can be read; the first one: {unreadable[0]['reason']}")
        writer.finish()
        n_bytes = os.fstat(file.fileno()).st_size
    write_json(description, {"bytes": n_bytes, "unreadable": unreadable}, private=True)
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


class _Writer:
    """Appends squares of one size; turns what is written into three channels or 16 bits when the first such comes."""

    def __init__(self, file: IO[bytes], channels: int | None) -> None:
        self.n = 0
        self._file = file
        self._channels = channels
        self._shape: tuple[int, int, int] | None = None
        self._dtype = np.dtype(np.uint8)

    def append(self, square: np.ndarray) -> None:
        channels = self._channels or (3 if square.ndim == 3 else 1)
        if self._shape is None:
            self._shape, self._dtype = (*square.shape[:2], channels), square.dtype
            self._file.seek(_HEADER)
        channels, dtype = max(channels, self._shape[2]), np.promote_types(square.dtype, self._dtype)
        if (channels, dtype) != (self._shape[2], self._dtype):
            self._widen(channels, dtype)
        self._file.write(_as_type(with_channels(square, channels), dtype).tobytes())
        self.n += 1

    def finish(self) -> None:
        """Write NumPy's header and see that all reaches the disk."""
        assert self._shape is not None
        header = io.BytesIO()
        values = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.n, *self._shape)}
        np.lib.format.write_array_header_1_0(header, values)
        assert len(header.getvalue()) == _HEADER, "NumPy's header has another length"
        self._file.seek(0)
        self._file.write(header.getvalue())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _widen(self, channels: int, dtype: np.dtype) -> None:
        """Rewrite in place from the last scan to the first: each grows, so none is overwritten before it is read."""
        assert self._shape is not None
        old = int(np.prod(self._shape)) * self._dtype.itemsize
        new = old // self._shape[2] * channels // self._dtype.itemsize * dtype.itemsize
        for row in reversed(range(self.n)):
            self._file.seek(_HEADER + row * old)
            square = np.frombuffer(self._file.read(old), self._dtype).reshape(self._shape)
            wide = square if channels == self._shape[2] else with_channels(square[..., 0], channels)
            self._file.seek(_HEADER + row * new)
            self._file.write(_as_type(wide, dtype).tobytes())
        self._shape, self._dtype = (*self._shape[:2], channels), dtype
        self._file.seek(_HEADER + self.n * new)


def _as_type(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """uint8 -> uint16 so that 255 becomes 65535; anything else is of the type already."""
    return pixels if pixels.dtype == dtype else pixels.astype(dtype) * dtype.type(257)


def _square(pixels: np.ndarray, *, size: int, geometry: Geometry, tops: set[int]) -> np.ndarray:
    """A scan -> its square; the largest value of 16 bits goes into `tops` (before resizing, which overshoots)."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"holds {pixels.dtype} pixels; expected uint8 or uint16")
    if pixels.dtype == np.uint16:
        tops.add(int(pixels.max(initial=0)))
    square = fit(without_color(pixels), size, resize=geometry.resize)
    return with_channels(square, 1)[..., 0] if geometry.channels == 1 else square


def _first_side(source: Source, n: int) -> int:
    """Longest side of the first scan that can be read."""
    for row in range(n):
        with contextlib.suppress(Exception):
            return max(source.read(row).shape[:2])
    return _AUTO_SIDE


def _readable(source: Source, row: int) -> bool:
    with contextlib.suppress(Exception):
        source.read(row)
        return True
    return False


def _decode_all(source: Source, n: int, square: Callable[[np.ndarray], np.ndarray]) -> Iterator[np.ndarray | Exception]:
    """All rows in order, each as a square or as the exception that says why not.

    Files are decoded side by side in threads: Pillow decodes and resizes without the interpreter's lock, and threads
    need no importable main module, unlike processes on Windows and macOS.
    """
    if source.files is None:
        yield from (_attempt(lambda row=row: square(source.read(row))) for row in range(n))
        return
    n_threads = min(64, os.cpu_count() or 1)
    waiting: deque[Future[list[np.ndarray | Exception]]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        for _, rows in groupby(range(n), key=source.files.__getitem__):
            waiting.append(pool.submit(_squares, source, list(rows), square))
            if len(waiting) >= 8 * n_threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _squares(
    source: Source, rows: list[int], square: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray | Exception]:
    """Rows of one file; where it cannot be read as a whole, one by one, so that a bad page costs itself alone."""
    together = _attempt(lambda: [square(pixels) for pixels in read_together(source, rows)])
    if not isinstance(together, Exception):
        return list(together)
    if len(rows) == 1:
        return [together]
    return [_attempt(lambda row=row: square(source.read(row))) for row in rows]


def _attempt(read: Callable[[], T]) -> T | Exception:
    try:
        return read()
    except Exception as error:  # a damaged file may raise anything
        return error


def _reason(error: Exception) -> str:
    """Why a scan cannot be read, without the machine's paths."""
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or "cannot be opened").lower()
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "is not an image" if text.startswith("cannot identify image file") else text


def _from_system(error: Exception) -> bool:
    """Whether the file could not be had (missing, no permission, network) rather than not be understood."""
    return isinstance(error, OSError) and error.errno is not None


def _remove_leftovers(directory: Path) -> None:
    """Delete what killed builders left: temporary files that nobody wrote to for a day."""
    for path in directory.glob(".*.npy"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > 86400:
                path.unlink()
