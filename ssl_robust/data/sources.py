"""Where the pixels of a manifest's rows come from: files, arrays in memory, or some rows of another source."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from ssl_robust.data.formats.known import format_of, kind_of
from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.scans import read_scan


class Source(Protocol):
    """Where the pixels of a manifest's rows come from; reading the rows in order must be the fast way.

    Attributes:
        fingerprint: changes when the scans do; the same on every machine that holds the same scans.
        state: changes when a file may have changed here (modification times); key of the decoded cache.
        files: the file of each row where rows are files that may be decoded side by side, else None.
        states: (N,) uint64 that change with `state`, row by row; None where rows are no files.
    """

    @property
    def fingerprint(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def files(self) -> Sequence[Path] | None: ...
    @property
    def states(self) -> np.ndarray | None: ...

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

    @property
    def states(self) -> np.ndarray | None:
        states = self.whole.states
        return None if states is None else states[self.chosen]

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

    @property
    def states(self) -> None:
        return None

    def read(self, row: int) -> np.ndarray:
        return self.images[row]


class FileSource:
    """Scans in files, one or several in each.

    Args:
        files: the file of each row; rows of one file stand together.
        names: their paths relative to the data, which do not depend on the machine, with the part: `a.dcm#frame=3`.
        parts: which scan of its file each row is; None: every file is one scan.
        rules: how values become pixels.
    """

    def __init__(
        self,
        files: Sequence[Path],
        names: Sequence[str],
        parts: Sequence[str] | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.files: Sequence[Path] | None = list(files)
        self._files, self._parts = self.files, list(parts or [""] * len(files))
        self._rules = rules or Rules()
        known = {file: size_and_time(file) for file in dict.fromkeys(files)}
        sizes = [known[file][0] for file in files]
        # Sizes, not contents: a set of a terabyte is summed up at once.
        self.fingerprint = digest(*(f"{name} {size}" for name, size in zip(names, sizes, strict=True)))
        rows = zip(files, self._parts, strict=True)
        each = [state_of(file, part, self._rules, known[file]) for file, part in rows]
        self.states: np.ndarray | None = np.array([int(state, 16) for state in each], dtype=np.uint64)
        self.state = digest(*each)

    def read(self, row: int) -> np.ndarray:
        return read_scan(self._files[row], self._parts[row], self._rules)

    @property
    def of_pictures_alone(self) -> bool:
        """See the function of this name."""
        return self._rules.window in ("auto", "full") and all(kind_of(file) == "pictures" for file in set(self._files))

    def unwindowed(self) -> FileSource:
        """See the function of this name."""
        whole = copy.copy(self)
        whole._rules = replace(self._rules, window="full")
        return whole

    def read_together(self, rows: Sequence[int]) -> Iterable[np.ndarray]:
        """As `read`, for rows of one file, which is opened once."""
        file = self._files[rows[0]]
        return format_of(file).read(file, [self._parts[row] for row in rows], self._rules)


def read_together(source: Source, rows: Sequence[int]) -> Iterable[np.ndarray]:
    """The scans of some rows of one file, which is opened once.

    Args:
        source: where the pixels are.
        rows: rows whose `files` are the same.

    Raises:
        Exception: any, where one of them cannot be read.
    """
    if isinstance(source, Subset):
        return read_together(source.whole, [int(source.chosen[row]) for row in rows])
    return source.read_together(rows) if isinstance(source, FileSource) else [source.read(row) for row in rows]


def unwindowed(source: Source) -> Source:
    """The same rows with all values that their files could hold, for an eye that chooses its own window.

    Its `state` and fingerprint are those of `source`: no cache may be made of it.
    """
    if isinstance(source, Subset):
        return replace(source, whole=unwindowed(source.whole))
    return source.unwindowed() if isinstance(source, FileSource) else source


def of_pictures_alone(source: Source) -> bool:
    """Whether all scans are pictures whose 16-bit values come as they are stored, through no window."""
    if isinstance(source, Subset):
        return of_pictures_alone(source.whole)
    return isinstance(source, FileSource) and source.of_pictures_alone


def size_and_time(file: Path) -> tuple[int, int]:
    """Bytes and time of the last change in ns; (-1, 0) for a file that is not there."""
    try:
        status = file.stat()
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


def state_of(file: Path, part: str, rules: Rules, known: tuple[int, int]) -> str:
    """16 hexadecimal digits that change when a part of a file may have changed, or how it is read.

    Args:
        file: the file.
        part: which of its scans.
        rules: how it is read.
        known: its `size_and_time`.
    """
    return digest(repr(rules), f"{file.absolute()} {part} {known}")[:16]


def digest(*parts: str) -> str:
    """32 hexadecimal digits that change with any of the texts."""
    summary = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        summary.update(len(raw).to_bytes(8, "little") + raw)
    return summary.hexdigest()
