"""Squares -> one array on disk, scan by scan, whatever channels and bits the next one brings."""

from __future__ import annotations

import io
import os
from typing import IO

import numpy as np

from ssl_robust.data.scans import with_channels

_HEADER = 128  # bytes; NumPy pads its header to a multiple of 64, and four dimensions always need this many


class SquareWriter:
    """Appends squares of one size; turns what is written into three channels or 16 bits when the first such comes.

    Args:
        file: empty, open for reading and writing.
        channels: 1 or 3; None: as many as the scans need.
    """

    def __init__(self, file: IO[bytes], channels: int | None) -> None:
        self.n = 0
        self._file = file
        self._channels = channels
        self._shape: tuple[int, int, int] | None = None
        self._dtype = np.dtype(np.uint8)

    def append(self, square: np.ndarray) -> None:
        """Write the next one, (S, S) or (S, S, 3), uint8 or uint16."""
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
