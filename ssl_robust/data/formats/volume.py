"""The header of a NIfTI file, checked before anything is made room for: where its slices lie and what values mean."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.orientations import apply_orientation, io_orientation

from ssl_robust.data.formats.rules import AXES, Rules

_HEADERS = {348: Nifti1Header, 540: Nifti2Header}
_MOST_BYTES = 2**32  # of one volume, which has to fit into memory
_MOST_SLICES = 100_000
_MOST_PACKED = 1032  # bytes that deflate makes of one: a header that promises more is wrong
_SILENT = logging.Logger("nibabel's remarks on headers", level=logging.CRITICAL)


@dataclass(frozen=True)
class Volume:
    """What a header says.

    Attributes:
        stored: of the voxels, in the file's order, (x, y, z, times).
        orientation: (3, 2) as `io_orientation`: where each stored axis belongs, and whether it is turned round.
        shape: in RAS order.
        spacing: (3,) mm in RAS order.
        times: number of frames.
        axis: along which it is cut, in RAS order.
        slope: times the stored values
        inter: and added to them, makes the measured ones.
        told: the values that should become black and white, where the header says so.
    """

    stored: ArrayProxy
    orientation: np.ndarray
    shape: tuple[int, ...]
    spacing: np.ndarray
    times: int
    axis: int
    slope: float
    inter: float
    told: tuple[float, float] | None

    def name(self, time: int, index: int) -> str:
        """`t=3,z=012`, without what there is only one of."""
        counted = [("t", time, self.times), ("xyz"[self.axis], index, self.shape[self.axis])]
        return ",".join(f"{letter}={at:0{len(str(n - 1))}}" for letter, at, n in counted if n > 1)

    def place(self, part: str) -> tuple[int, int]:
        """Time and slice of a part's name."""
        found = {"t": 0, "xyz"[self.axis]: 0}
        for letter, _, digits in (each.partition("=") for each in part.split(",")) if part else ():
            if letter not in found or not digits.isdecimal():
                raise ValueError(f"has no part {part}; with this data.axis its parts are named as in {self.name(0, 0)}")
            found[letter] = int(digits)
        time, index = found.values()
        if time >= self.times or index >= self.shape[self.axis]:
            raise ValueError(
                f"has no part {part}; its last one is {self.name(self.times - 1, self.shape[self.axis] - 1)}"
            )
        return time, index

    def where(self, index: int) -> tuple[slice, ...]:
        """Of the stored axes, what holds a slice."""
        axis = int(np.flatnonzero(self.orientation[:, 0] == self.axis)[0])
        at = index if self.orientation[axis, 1] > 0 else self.shape[self.axis] - 1 - index
        return tuple(slice(at, at + 1) if each == axis else slice(None) for each in range(3))

    def taken(self, time: int, where: tuple[slice, ...] = (slice(None),) * 3) -> np.ndarray:
        """(x, y, z) of one frame as stored, or of a part of it."""
        try:
            return np.asarray(self.stored[(*where, time)])
        except ValueError:
            raise EOFError("is cut short: it ends before the last of its values") from None

    def measured(self, stored: np.ndarray) -> np.ndarray:
        """Stored values -> measured ones."""
        if (self.slope, self.inter) == (1.0, 0.0):
            return stored
        return stored.astype(np.result_type(stored.dtype, np.float32)) * self.slope + self.inter

    def picture(self, slab: np.ndarray) -> np.ndarray:
        """One slice, as `where` takes it, -> (H, W), upright."""
        return np.take(apply_orientation(slab, self.orientation), 0, axis=self.axis)[::-1, ::-1].T


def opened_volume(file: IO[bytes], size: int, packed: bool, rules: Rules) -> Volume:
    """The header, checked before anything is made room for.

    Args:
        file: unpacked, at its beginning; the volume's values are read from it later.
        size: of the file on disk, in bytes.
        packed: whether it is packed there.
        rules: along which axis it is cut.

    Raises:
        ValueError: it is no volume, or its header cannot be true.
    """
    header = _header(file)
    counts = np.array([int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])]], dtype=object)
    if len(counts) == 0 or min(counts) < 1:
        raise ValueError(f"has a header with the dimensions {list(counts)}; expected whole numbers above 0")
    shape = [*counts[:4], *[1] * (4 - len(counts))]
    if any(n > 1 for n in counts[4:]) or sum(n > 1 for n in shape[:3]) < 2:
        raise ValueError(f"holds {' x '.join(map(str, counts))} values; expected a volume, or several in time")
    dtype = _dtype(header)
    offset = _offset(header)
    frame = int(np.prod(shape[:3], dtype=object)) * dtype.itemsize
    if frame > _MOST_BYTES or max(shape[:3]) * shape[3] > _MOST_SLICES:
        raise ValueError(
            f"holds {' x '.join(map(str, counts))} values, more than can be read; cut it into smaller ones"
        )
    if offset + frame * shape[3] > size * (_MOST_PACKED if packed else 1):
        raise ValueError(f"is cut short: its header promises {frame * shape[3]:,} bytes of values")
    return _laid(header, ArrayProxy(file, (tuple(shape), dtype, offset), mmap=False), rules)


def _laid(header: Any, stored: ArrayProxy, rules: Rules) -> Volume:
    """How the volume lies in its file, and which values are meant."""
    affine = header.get_best_affine()
    orientation = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    spacing = voxel_sizes(affine)
    if np.isnan(orientation).any() or not (spacing > 0).all():
        raise ValueError("has a header that does not say how the volume lies (sform, qform and pixdim make no sense)")
    order = np.argsort(orientation[:, 0])
    shape = tuple(stored.shape[axis] for axis in order)
    axis = len(AXES) - 1 - AXES.index(rules.axis)
    if shape[axis] > 1 and 1 in shape:  # a single slice is one picture, wherever the axis points
        axis = shape.index(1)
    slope, inter = header.get_slope_inter()
    told = float(header["cal_min"]), float(header["cal_max"])
    return Volume(
        stored=stored, orientation=orientation, shape=shape, spacing=spacing[order], times=stored.shape[3], axis=axis,
        slope=1.0 if slope is None else float(slope), inter=0.0 if inter is None else float(inter),
        told=told if np.isfinite(told).all() and told[0] < told[1] else None,
    )  # fmt: skip


def _header(file: IO[bytes]) -> Any:
    """The header alone, what nibabel can mend mended: extensions may be of any size, and may name people."""
    start = file.read(4)
    kind = next((k for size, k in _HEADERS.items() for order in ("little", "big")
                 if int.from_bytes(start, order) == size), None)  # fmt: skip
    if kind is None:
        raise ValueError("is no NIfTI file")
    raw = start + file.read(kind.sizeof_hdr - 4)
    if len(raw) < kind.sizeof_hdr:
        raise ValueError("is cut short within its header")
    header = kind(raw, check=False)
    magic = header["magic"].item()
    if magic == header.pair_magic:
        raise ValueError("is one of a pair of files (.hdr and .img), which are not read; save it as .nii.gz")
    if magic != header.single_magic:
        raise ValueError("is no NIfTI file (an Analyze file?); save it as .nii.gz")
    header.check_fix(logger=_SILENT, error_level=100)
    return header


def _dtype(header: Any) -> np.dtype:
    try:
        dtype = np.dtype(header.get_data_dtype())
    except Exception:
        raise ValueError(f"has a header with the data type {int(header['datatype'])}, which does not exist") from None
    if dtype.kind not in "iuf" and dtype.names is None:
        kind = "complex" if dtype.kind == "c" else str(dtype)
        raise ValueError(f"holds {kind} values; expected whole numbers, floats or colours, save the magnitude")
    return dtype


def _offset(header: Any) -> int:
    """First byte of the values; a header may leave it open."""
    offset = float(header["vox_offset"])
    if not np.isfinite(offset) or offset < 0:
        raise ValueError(f"has a header that lets the values begin at byte {offset:g}")
    return max(int(offset), header.single_vox_offset)
