"""Rows of length one, made of a table of vectors when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_PART = 512  # rows copied, centred and scaled while they are in the processor's cache
_BLOCK = 16_384  # rows looked at together: 24 MiB at 384 dimensions


class UnitRows:
    """Vectors as a cosine sees them: centred where asked, of length one, float32.

    The table may be a memory map larger than the memory: only its mean and N lengths are kept, rows are made anew for
    every `take`.

    Args:
        vectors: (M, D) finite numbers of any length; rows of zeros stay zeros.
        rows: (N,) rows of it that count, in this order; None: all.
        center: take the mean of those rows off first.
        mean: (D,) to take off in its place, that of other rows which these are compared with.

    Raises:
        ValueError: `vectors` is not two-dimensional, or holds NaN or infinity (the message names the first row).
    """

    def __init__(self, vectors: np.ndarray, *, rows: np.ndarray | None = None, center: bool = False,
                 mean: np.ndarray | None = None) -> None:  # fmt: skip
        self._vectors = np.asarray(vectors)  # of a memory map, a view: nothing is read
        if self._vectors.ndim != 2:
            raise ValueError(f"vectors have the shape {self._vectors.shape}; expected (N, D)")
        self._rows = rows
        self._mean = self._checked_mean() if center else mean
        self._lengths = np.ones(len(self), dtype=np.float32)
        for block in self.blocks():
            raw = self._float32(block)
            norms = np.sqrt(np.einsum("ij,ij->i", raw, raw, dtype=np.float64))
            self._refuse(block, np.isfinite(norms))
            self._lengths[block] = np.where(norms > 0, norms, 1)

    def __len__(self) -> int:
        return len(self._vectors) if self._rows is None else len(self._rows)

    @property
    def dim(self) -> int:
        """D."""
        return self._vectors.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        """(N,) float32 what the rows were divided by: their lengths once centred, 1 for rows of zeros."""
        return self._lengths

    @property
    def mean(self) -> np.ndarray | None:
        """(D,) what is taken off all rows; None: nothing."""
        return self._mean

    def again(self, order: np.ndarray, *, center: bool) -> UnitRows:
        """The same vectors in another order, centred or not.

        Args:
            order: (n,) rows, counted among those that count.
            center: take the mean of these rows off first.
        """
        return UnitRows(self._vectors, rows=order if self._rows is None else self._rows[order], center=center)

    def blocks(self) -> Iterator[slice]:
        """All rows, some thousands at a time."""
        for start in range(0, len(self), _BLOCK):
            yield slice(start, min(start + _BLOCK, len(self)))

    def take(self, rows: np.ndarray | slice) -> np.ndarray:
        """(n, D) float32 of some rows, counted among those that count."""
        return self._float32(rows, self._lengths)

    def _raw(self, rows: np.ndarray | slice) -> np.ndarray:
        return self._vectors[rows if self._rows is None else self._rows[rows]]

    def _float32(self, rows: np.ndarray | slice, lengths: np.ndarray | None = None) -> np.ndarray:
        """A copy of some rows, centred, and divided by their lengths if these are given."""
        rows = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        made = np.empty((len(rows), self.dim), dtype=np.float32)
        for start in range(0, len(rows), _PART):
            part = slice(start, start + _PART)
            if self._mean is None:
                with np.errstate(over="ignore"):  # beyond single precision: refused as infinity
                    made[part] = self._raw(rows[part])
            else:
                np.subtract(self._raw(rows[part]), self._mean, out=made[part], casting="same_kind")
            if lengths is not None:
                made[part] /= lengths[rows[part], None]
        return made

    def _checked_mean(self) -> np.ndarray:
        total = np.zeros(self.dim)
        for block in self.blocks():
            raw = self._raw(block)
            # One row with NaN would make all of them NaN once centred, and the message would name the first.
            self._refuse(block, np.abs(raw.sum(axis=1, dtype=np.float64)) <= np.finfo(np.float32).max)
            total += raw.sum(axis=0, dtype=np.float64)
        return (total / max(1, len(self))).astype(np.float32)

    def _refuse(self, block: slice, finite: np.ndarray) -> None:
        if not finite.all():
            row = block.start + int(finite.argmin())
            row = row if self._rows is None else int(self._rows[row])
            raise ValueError(f"row {row} of the vectors holds NaN or infinity, at least in single precision")
