"""Files -> squares, many at a time: every scan as an array of one side, or as the reason why there is none."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TypeVar

import numpy as np

from ssl_robust.data.formats.known import kind_of
from ssl_robust.data.scans import fit, with_channels, without_color
from ssl_robust.data.sources import Source, read_together

T = TypeVar("T")
_AUTO_SIDE = 64
_N_THREADS = min(64, os.cpu_count() or 1)


@dataclass(frozen=True)
class Geometry:
    """The shape that is asked for; None = whatever the scans suggest."""

    image_size: int | None
    channels: int | None
    resize: str


class Pace:
    """How fast the files of each kind were decoded."""

    def __init__(self) -> None:
        self.scans: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, kind: str, n: int, seconds: float) -> None:
        """`n` scans of a kind took one thread so long."""
        self.scans[kind] += n
        self.seconds[kind] += seconds

    def in_words(self) -> str:
        """Scans per second of one core, the kind with the most scans first: "pictures 410/s, dicom 95/s"."""
        rates = (f"{kind} {n / max(self.seconds[kind], 1e-9):.0f}/s" for kind, n in self.scans.most_common())
        return ", ".join(rates)


def squares(
    source: Source, rows: Sequence[int], side: int, geometry: Geometry, pace: Pace, tops: set[int]
) -> Iterator[np.ndarray | Exception]:
    """Some rows in order, each as (side, side) or (side, side, 3), uint8 or uint16, or the exception that says why not.

    Files are decoded side by side in threads: Pillow decodes and resizes without the interpreter's lock, and threads
    need no importable main module, unlike processes on Windows and macOS.

    Args:
        source: where the pixels are.
        rows: which, in ascending order.
        side: of the squares, in pixels.
        geometry: what else was asked for.
        pace: is told how fast it went.
        tops: is given the largest value of each scan of 16 bits.
    """
    square = partial(_square, side=side, geometry=geometry, tops=tops)
    if source.files is None:
        yield from (_attempt(lambda row=row: square(source.read(row))) for row in rows)
        return
    waiting: deque[Future[list[np.ndarray | Exception]]] = deque()
    with ThreadPoolExecutor(_N_THREADS) as pool:
        for _, together in groupby(rows, key=source.files.__getitem__):
            waiting.append(pool.submit(_of_file, source, list(together), square, pace))
            if len(waiting) >= 8 * _N_THREADS:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def side_of(source: Source, n: int, geometry: Geometry) -> int:
    """The side that is asked for, else the longest one of the first of n scans that can be read, at most 64."""
    if geometry.image_size:
        return geometry.image_size
    for row in range(n):
        with contextlib.suppress(Exception):
            return min(_AUTO_SIDE, max(source.read(row).shape[:2]))
    return _AUTO_SIDE


def readable(source: Source, row: int) -> bool:
    """Whether a scan can be read now."""
    return not isinstance(_attempt(lambda: source.read(row)), Exception)


def reason(error: Exception) -> str:
    """Why a scan cannot be read, without the machine's paths."""
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or "cannot be opened").lower()
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "is not an image" if text.startswith("cannot identify image file") else text


def from_system(error: Exception) -> bool:
    """Whether the file could not be had (missing, no permission, network) rather than not be understood."""
    return isinstance(error, OSError) and error.errno is not None


def _of_file(
    source: Source, rows: list[int], square: Callable[[np.ndarray], np.ndarray], pace: Pace
) -> list[np.ndarray | Exception]:
    """Rows of one file; where it cannot be read as a whole, one by one, so that a bad page costs itself alone."""
    started = time.perf_counter()
    together = _attempt(lambda: [square(pixels) for pixels in read_together(source, rows)])
    if isinstance(together, Exception) and len(rows) > 1:
        return [_attempt(lambda row=row: square(source.read(row))) for row in rows]
    if isinstance(together, Exception):
        return [together]
    if source.files is not None:
        pace.add(kind_of(source.files[rows[0]]) or "", len(rows), time.perf_counter() - started)
    return list(together)


def _square(pixels: np.ndarray, *, side: int, geometry: Geometry, tops: set[int]) -> np.ndarray:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"holds {pixels.dtype} pixels; expected uint8 or uint16")
    if pixels.dtype == np.uint16:
        tops.add(int(pixels.max(initial=0)))  # before resizing, which overshoots at edges
    square = fit(without_color(pixels), side, resize=geometry.resize)
    return with_channels(square, 1)[..., 0] if geometry.channels == 1 else square


def _attempt(read: Callable[[], T]) -> T | Exception:
    try:
        return read()
    except Exception as error:  # a damaged file may raise anything
        return error
