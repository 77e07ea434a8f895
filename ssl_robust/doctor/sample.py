"""Some scans of a set, decoded with a clock beside them: how long the others will take, and what trials are made on."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np

from ssl_robust.data.cache import decoded
from ssl_robust.data.decoding import Pace, side_of, squares
from ssl_robust.data.scanset import FoundScans, ScanSet
from ssl_robust.data.sources import Subset
from ssl_robust.data.square_writer import SquareWriter
from ssl_robust.run import UserError

N_FILES = 32  # spread over the set
_OF_A_FILE = 8  # its slices or frames at most
_OF_ARRAYS = 512  # scans that are read on from the first one, as decoding does
_SECONDS = 15.0


@dataclass(frozen=True)
class Sample:
    """Some decoded scans.

    Attributes:
        rows: (k,) ints, their rows of the manifest.
        pixels: (k, S, S, C) uint8 or uint16.
        seconds: to decode a scan on one core, measured several times; empty where all were decoded before.
        side_by_side: whether several cores decode at once.
    """

    rows: np.ndarray
    pixels: np.ndarray
    seconds: tuple[float, ...]
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
    source, n = found.manifest.source, len(found.manifest)
    if len(new) == 0:
        known = decoded(source, n, found.geometry, found.cache)
        readable = np.delete(np.arange(n), [each["row"] for each in known.unreadable])
        some = _spread(np.arange(len(readable)), N_FILES * _OF_A_FILE)
        return Sample(readable[some], np.asarray(known.pixels[some]), (), True)
    side = side_of(source, n, found.geometry)
    parts = _parts(source.files, new)
    rows, seconds, made = [], [], []
    began = time.perf_counter()
    for number, part in enumerate([parts[0], *parts]):  # the first one twice: it loads what reads such files
        started = time.perf_counter()
        results = list(squares(Subset(source, part), range(len(part)), side, found.geometry, Pace()))
        if number:
            seconds.append((time.perf_counter() - started) / len(part))
            read = [at for at, result in enumerate(results) if isinstance(result, np.ndarray)]
            rows += part[read].tolist()
            made += [results[at] for at in read]
        if time.perf_counter() - began > _SECONDS and made:
            break
    if not made:
        raise UserError(f"none of the {sum(map(len, parts))} scans that were tried can be read; look at some of them")
    return Sample(np.array(rows), _stacked(made, found.geometry.channels), tuple(seconds), source.files is not None)


def _parts(files: Sequence[os.PathLike] | None, new: np.ndarray) -> list[np.ndarray]:
    """Rows that are decoded together and timed as one: those of a file, or some that follow each other."""
    if files is None:
        return np.array_split(new[:_OF_ARRAYS], min(8, len(new)))
    whole = [list(rows) for _, rows in groupby(new.tolist(), key=files.__getitem__)]
    return [np.array(list(islice(whole[at], _OF_A_FILE))) for at in _spread(np.arange(len(whole)), N_FILES)]


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
