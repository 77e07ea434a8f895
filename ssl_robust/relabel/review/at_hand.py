"""Scans of an archive, laid out so that any of them is read at once: a compressed npz is read from the front only."""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssl_robust.data.sources import Source
from ssl_robust.run import progress


class AtHand:
    """Some rows of a source whose scans are no files, unpacked to a nameless file that goes with this process.

    Args:
        source: where the pixels are.
        rows: which of its rows are wanted at once; others are read from `source`.
        folder: where the file is made; memory holds as much of it as it has room for.
    """

    files = None
    states = None

    def __init__(self, source: Source, rows: Sequence[int], folder: Path) -> None:
        self._source = source
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open as long as the page is)
        weakref.finalize(self, self._file.close)
        self._alone = threading.Lock()
        self._places: dict[int, tuple[int, np.dtype, tuple[int, ...]]] = {}
        wanted = sorted(set(rows))
        for row in progress(wanted, total=len(wanted), what="unpacking scans"):
            pixels = source.read(row)
            self._places[row] = self._file.tell(), pixels.dtype, pixels.shape
            self._file.write(np.ascontiguousarray(pixels).tobytes())

    @property
    def fingerprint(self) -> str:
        return self._source.fingerprint

    @property
    def state(self) -> str:
        return self._source.state

    def read(self, row: int) -> np.ndarray:
        """(H, W) or (H, W, 3) pixels of one row."""
        if row not in self._places:
            return self._source.read(row)
        place, dtype, shape = self._places[row]
        with self._alone:
            self._file.seek(place)
            raw = self._file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(raw, dtype).reshape(shape)
