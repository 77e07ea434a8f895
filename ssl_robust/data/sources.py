"""Where the pixels of a manifest's rows come from: files, arrays in memory, or some rows of another source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ssl_robust.data.scans import read_scan


class Source(Protocol):
    """Where the pixels of a manifest's rows come from; reading the rows in order must be the fast way.

    Attributes:
        fingerprint: changes when the scans do; the same on every machine that holds the same scans.
        state: changes when a file may have changed here (modification times); key of the decoded cache.
        files: the file of each row where rows are files that may be decoded side by side, else None.
    """

    @property
    def fingerprint(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def files(self) -> Sequence[Path] | None: ...

    def read(self, row: int) -> np.ndarray:
        """(H, W) or (H, W, 3), uint8 or uint16; raises any exception where the scan cannot be read."""
        ...


@dataclass(frozen=True)
class Subset:
    """Some rows of another source."""

    whole: Source
    chosen: np.ndarray

    @property
    def fingerprint(self) -> str:
        return digest(self.whole.fingerprint, self.chosen.tobytes().hex())

    @property
    def state(self) -> str:
        return digest(self.whole.state, self.chosen.tobytes().hex())

    @property
    def files(self) -> Sequence[Path] | None:
        files = self.whole.files
        return None if files is None else [files[row] for row in self.chosen]

    def read(self, row: int) -> np.ndarray:
        return self.whole.read(int(self.chosen[row]))


@dataclass(frozen=True)
class ArraySource:
    """Scans that are in memory already: (N, H, W) or (N, H, W, 3), uint8 or uint16."""

    images: np.ndarray
    fingerprint: str

    @property
    def state(self) -> str:
        return self.fingerprint

    @property
    def files(self) -> None:
        return None

    def read(self, row: int) -> np.ndarray:
        return self.images[row]


class FileSource:
    """One file a scan.

    Args:
        files: the file of each row.
        names: their paths relative to the data, which do not depend on the machine.
    """

    def __init__(self, files: Sequence[Path], names: Sequence[str]) -> None:
        self.files: Sequence[Path] | None = list(files)
        known = [_size_and_time(file) for file in files]
        # Sizes, not contents: a set of a terabyte is summed up at once.
        self.fingerprint = digest(*(f"{name} {size}" for name, (size, _) in zip(names, known, strict=True)))
        self.state = digest(*(f"{file.absolute()} {size_time}" for file, size_time in zip(files, known, strict=True)))
        self._files = self.files

    def read(self, row: int) -> np.ndarray:
        return read_scan(self._files[row])


def _size_and_time(file: Path) -> tuple[int, int]:
    """Bytes and time of the last change in ns; (-1, 0) for a file that is not there."""
    try:
        status = file.stat()
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


def digest(*parts: str) -> str:
    """32 hexadecimal digits that change with any of the texts."""
    summary = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        summary.update(len(raw).to_bytes(8, "little") + raw)
    return summary.hexdigest()
