"""The image arrays of an npz file, streamed: a set larger than memory is read scan by scan."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from ssl_robust.data.sources import digest
from ssl_robust.data.splits import SPLITS
from ssl_robust.run import UserError

_SMALL = 64 * 2**20  # bytes, which any memory holds
_MOST_PACKED = 100  # bytes from one byte; sets of scans reach 1.1 to 2.4, a bomb 1,000
_SMALLEST_SIDE = 2  # px


class NpzSource:
    """Scans of the three image arrays, one after another; rows in order are streamed, not loaded.

    Args:
        path: an npz file.

    Raises:
        UserError: not an npz file, no image arrays in it, or images of a wrong type or shape.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UserError(f"{path} is not a complete npz file ({error}); write it with numpy.savez") from None
        self._check_size()
        self._members = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, np.dtype] = {}
        for split in SPLITS:
            if f"{split}_images" in self._members:
                stream, self.shapes[split], self._types[split] = self._open(f"{split}_images")
                stream.close()
                self._check(split)
        if not self.shapes:
            raise UserError(
                f"{path} holds no array train_images, val_images or test_images but {', '.join(self._members)}; "
                "rename the arrays, or save the scans as files and use data=folder"
            )
        self._starts = np.cumsum([0, *(shape[0] for shape in self.shapes.values())])
        self._stream: IO[bytes] | None = None  # of the images of a split, where the row `_next` begins
        self._split, self._next = "", 0

    files = None
    states = None

    @property
    def fingerprint(self) -> str:
        """From the checksums in the archive's directory: the content, without reading it."""
        images = [self._members[f"{split}_images"] for split in self.shapes]
        return digest(*(f"{info.filename} {info.CRC:x} {info.file_size}" for info in images))

    @property
    def state(self) -> str:
        return digest(self.fingerprint, str(self.path.stat().st_mtime_ns))

    def array(self, name: str) -> np.ndarray:
        """A whole (small) array of the file; empty where there is none of that name.

        Raises:
            UserError: the array is a pickle or damaged.
        """
        if name not in self._members:
            return np.empty(0)
        self._header(name)[0].close()
        try:
            with self._zip.open(self._members[name]) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{self.path}: the array {name} cannot be read ({error}); save it as numbers") from None

    def read(self, row: int) -> np.ndarray:
        """(H, W) or (H, W, 3) pixels of one row; fast where it comes after the last one."""
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        split = list(self.shapes)[which]
        shape, dtype = self.shapes[split][1:], self._types[split]
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        stream, self._stream = self._stream, None  # put back where nothing went wrong
        if stream is None or row < self._next or split != self._split:
            stream, self._split, self._next = self._open(f"{split}_images")[0], split, int(self._starts[which])
        skip = (row - self._next) * n_bytes
        while skip > 0 and (passed := stream.read(min(skip, 1 << 24))):
            skip -= len(passed)
        raw = stream.read(n_bytes)
        if len(raw) < n_bytes:
            raise ValueError(f"{self.path.name} ends inside {split}_images")
        self._stream, self._next = stream, row + 1
        image = np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
        return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image

    def _open(self, name: str) -> tuple[IO[bytes], tuple[int, ...], np.dtype]:
        """The array's bytes from its first number on, with its shape and type."""
        stream, shape, fortran, dtype = self._header(name)
        if fortran and len(shape) > 1:
            raise UserError(f"{self.path}: {name} is in Fortran order; save np.ascontiguousarray of it")
        return stream, shape, dtype

    def _header(self, name: str) -> tuple[IO[bytes], tuple[int, ...], bool, np.dtype]:
        """The array's bytes from its first number on, with its shape, order and type; it is as long as these say."""
        try:
            stream = self._zip.open(self._members[name])
            version = np.lib.format.read_magic(stream)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read_header[version](stream)
        except (ValueError, KeyError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(
                f"{self.path}: the array {name} cannot be read ({error}); save it with numpy.savez"
            ) from None
        # Memory is asked for by what the header says, so that it must not say more than there is.
        held = self._members[name].file_size - stream.tell()
        if not dtype.hasobject and (min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held):
            raise UserError(
                f"{self.path}: {name} says that it has the shape {shape}, but holds {held:,} bytes; save it again with "
                "numpy.savez"
            )
        return stream, shape, fortran, dtype

    def _check_size(self) -> None:
        """Refuse a file that unpacks to far more than scans do."""
        packed, unpacked = self.path.stat().st_size, sum(info.file_size for info in self._zip.infolist())
        if unpacked > max(_SMALL, _MOST_PACKED * packed):
            raise UserError(
                f"{self.path} unpacks {packed:,} bytes to {unpacked:,}, as no scans do; where it is right "
                "nevertheless, save it without compression (numpy.savez)"
            )

    def _check(self, split: str) -> None:
        shape, dtype = self.shapes[split], self._types[split]
        if dtype.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16)):
            raise UserError(f"{self.path}: {split}_images are {dtype}; expected uint8 or uint16, convert them")
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
            raise UserError(
                f"{self.path}: {split}_images have the shape {shape}; expected (N, H, W) or (N, H, W, 3), "
                "volumes are not read yet"
            )
        if min(shape[1:3]) < _SMALLEST_SIDE:
            raise UserError(f"{self.path}: {split}_images are of {shape[2]} x {shape[1]} px, which are no scans")
