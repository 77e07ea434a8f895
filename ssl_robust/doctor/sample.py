"""Some scans of a set, decoded with a clock beside them: how long the others will take, and what trials are made on."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ssl_robust.data.cache import decoded
from ssl_robust.data.decoding import Pace, side_of, squares
from ssl_robust.data.scanset import FoundScans, ScanSet
from ssl_robust.data.sources import Subset
from ssl_robust.data.square_writer import SquareWriter
from ssl_robust.run import UserError

N_FILES = 32  # spread over the set
_OF_A_FILE = 8  # its slices or frames that are kept, at most
_OF_ARRAYS = 512  # scans that are read on from the first one, as decoding does
_SECONDS = 15.0


@dataclass(frozen=True)
class Sample:
    """Some decoded scans.

    Attributes:
        rows: (k,) ints, their rows of the manifest.
        pixels: (k, S, S, C) uint8 or uint16.
        seconds: to decode each of the parts that were tried, files mostly, on one core; empty where all were decoded
            before.
        n_parts: how many such parts are to be decoded in the whole set.
        side_by_side: whether several cores decode at once.
    """

    rows: np.ndarray
    pixels: np.ndarray
    seconds: tuple[float, ...]
    n_parts: float
    side_by_side: bool

    def scans(self, found: FoundScans, n: int) -> ScanSet:
        """A set of n scans to try things on: these, as often as it takes.

        Args:
            found: where they come from.
            n: how many.
        """
        at = np.arange(n) % len(self.rows)
        return ScanSet(found.manifest.take(self.rows[at]), self.pixels[at], found.geometry.resize)


def sample(found: FoundScans, new: np.ndarray) -> Sample:
    """Decode some of the scans that are not decoded yet; where all are, take some of those.

    Args:
        found: the whole set.
        new: rows that are not decoded yet, from `ssl_robust.data.cache.undecoded`.

    Raises:
        UserError: none of the scans that were tried can be read.
    """
    if len(new) == 0:
        return _of_cache(found)
    side = side_of(found.manifest.source, len(found.manifest), found.geometry)
    parts, n_parts = _parts(found.manifest.source.files, new)
    made: dict[int, np.ndarray] = {}
    seconds: list[float] = []
    _decoded(found, parts[0], side)  # not counted: it loads what reads such files
    began = time.perf_counter()
    for part in parts:
        started = time.perf_counter()
        read = _decoded(found, part, side)
        seconds.append(time.perf_counter() - started)
        made |= {row: read[row] for row in _spread(np.array(list(read), int), _OF_A_FILE).tolist()}
        if made and time.perf_counter() - began > _SECONDS:
            break
    if not made:
        raise UserError(f"none of the {sum(map(len, parts))} scans that were tried can be read; look at some of them")
    rows = sorted(made)
    pixels = _stacked([made[row] for row in rows], found.geometry.channels)
    return Sample(np.array(rows), pixels, tuple(seconds), n_parts, found.manifest.source.files is not None)


def _of_cache(found: FoundScans) -> Sample:
    known = decoded(found.manifest.source, len(found.manifest), found.geometry, found.cache)
    readable = np.delete(np.arange(len(found.manifest)), [each["row"] for each in known.unreadable])
    some = _spread(np.arange(len(readable)), N_FILES * _OF_A_FILE)
    return Sample(readable[some], np.asarray(known.pixels[some]), (), 0.0, True)


def _decoded(found: FoundScans, part: np.ndarray, side: int) -> dict[int, np.ndarray]:
    """Row -> square of those that can be read."""
    results = squares(Subset(found.manifest.source, part), range(len(part)), side, found.geometry, Pace(), set())
    made = zip(part.tolist(), results, strict=True)
    return {row: result for row, result in made if isinstance(result, np.ndarray)}


def _parts(files: Sequence[os.PathLike] | None, new: np.ndarray) -> tuple[list[np.ndarray], float]:
    """Rows that are decoded together and timed as one, and how many such parts the whole set has.

    Those of a file, in random order, since time may end before all were tried; of arrays some that follow each other.
    """
    if files is None:
        some = np.array_split(new[:_OF_ARRAYS], min(8, len(new)))
        return some, len(new) / min(len(new), _OF_ARRAYS) * len(some)
    whole = [np.array(list(rows)) for _, rows in groupby(new.tolist(), key=files.__getitem__)]
    chosen = np.random.default_rng(0).permutation(_spread(np.arange(len(whole)), N_FILES))
    return [whole[at] for at in chosen], float(len(whole))


def _spread(rows: np.ndarray, n: int) -> np.ndarray:
    """n of the rows at equal distances, or all."""
    return rows if len(rows) <= n else rows[np.linspace(0, len(rows) - 1, n).round().astype(int)]


def _stacked(made: Sequence[np.ndarray], channels: int | None) -> np.ndarray:
    """Squares as the cache would hold them."""
    with tempfile.TemporaryFile() as file:
        writer = SquareWriter(file, channels)
        for square in made:
            writer.append(square)
        writer.finish()
        file.seek(0)
        return np.load(file, allow_pickle=False)
