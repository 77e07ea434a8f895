"""NIfTI volumes (.nii, .nii.gz), through nibabel: slices of a volume, each as a radiologist looks at it.

However a volume lies in its file, its slices are counted in RAS order: `z=000` is the lowest, `y=000` the hindmost,
`x=000` the leftmost. Axial slices show front above, coronal and sagittal ones head above; the patient's left is on the
right of the picture (radiological convention), and in sagittal ones the nose points left. Where no sform or qform says
how a volume lies, it counts as stored from right to left, as in Analyze files.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO

import numpy as np
from nibabel.orientations import apply_orientation

from ssl_robust.data.formats.body import shares
from ssl_robust.data.formats.rules import Contents, Rules
from ssl_robust.data.formats.values import limits, windowed
from ssl_robust.data.formats.volume import Volume, opened_volume
from ssl_robust.data.scans import resized, without_color

_WIDEST = 50.0  # spacing of slices over that of pixels; what lies beyond is a wrong header


def contents(path: Path, rules: Rules) -> Contents:
    """The slices of a volume, frame by frame; where `rules.body` is set, its first frame is read for it."""
    with _opened(path) as (file, packed):
        volume = opened_volume(file, path.stat().st_size, packed, rules)
        slices = range(0, volume.shape[volume.axis], rules.step)
        if rules.body > 0 and volume.stored.dtype.names is None:
            values = apply_orientation(volume.measured(volume.taken(0)), volume.orientation)
            share = shares(values, volume.axis)
            slices = [index for index in slices if share[index] >= rules.body]
    times = range(0, volume.times, rules.frames)
    spacing = " x ".join(f"{mm:.3g}" for mm in volume.spacing)
    facts = {"bits": str(8 * volume.stored.dtype.itemsize), "voxel": f"{spacing} mm"}
    return Contents(parts=tuple(volume.name(time, index) for time in times for index in slices), facts=facts)


def read(path: Path, parts: Sequence[str], rules: Rules) -> Iterator[np.ndarray]:
    """Slices -> (H, W), or (H, W, 3) of colour volumes, with square pixels: the coarser axis is stretched.

    All slices of a frame share one window. 8 bits that are not scaled stay as they are; of a colour with alpha, alpha
    is dropped. A packed file is unpacked once; of another, only what is needed is read.

    Raises:
        OSError, EOFError: the file is missing or cut short.
        ValueError: it is no volume, its header cannot be true, or it has no such part.
    """
    with _opened(path) as (file, packed):
        volume = opened_volume(file, path.stat().st_size, packed, rules)
        if list(parts) == [""] and (n := volume.times * volume.shape[volume.axis]) > 1:
            volume.taken(0)  # its parts may be unknown because it is damaged, which is what matters then
            raise ValueError(f"holds {n} slices; name one, as in {path.name}#{volume.name(0, 0)}")
        for time, places in groupby(map(volume.place, parts), key=lambda place: place[0]):
            yield from _slices(volume, time, [index for _, index in places], rules, packed)


def _slices(volume: Volume, time: int, indices: list[int], rules: Rules, packed: bool) -> Iterator[np.ndarray]:
    plain = volume.stored.dtype == np.uint8 and (volume.slope, volume.inter) == (1.0, 0.0)
    color = volume.stored.dtype.names is not None
    given = rules.window if isinstance(rules.window, tuple) else volume.told if rules.window == "auto" else None
    low, high = given or (0.0, 1.0)
    frame = None
    if packed or not (given or plain or color):
        frame = volume.taken(time)
        if packed and time == volume.times - 1:
            volume.stored.file_like.read(1)  # at its end a packed file is compared with its checksum
        if not (given or plain or color):
            low, high = limits(volume.measured(frame), rules, told=None, full=_full(volume, rules))
    for index in indices:
        where = volume.where(index)
        stored = volume.taken(time, where) if frame is None else frame[where]
        picture = volume.picture(stored)
        if color:
            picture = without_color(np.stack([picture[name] for name in "RGB"], axis=-1))
        elif not plain:
            picture = windowed(volume.measured(picture), low, high)
        yield _square_pixels(np.ascontiguousarray(picture), np.delete(volume.spacing, volume.axis))


def _full(volume: Volume, rules: Rules) -> tuple[float, float] | None:
    """All values that the voxels could hold, where they are asked for; no scanner fills its 16 bits."""
    if rules.window != "full" or volume.stored.dtype.kind == "f":
        return None
    ends = np.iinfo(volume.stored.dtype)
    low, high = sorted(end * volume.slope + volume.inter for end in (ends.min, ends.max))
    return low, high


def _square_pixels(picture: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    across, down = spacing
    height, width = picture.shape[:2]
    if not 1.01 < max(across / down, down / across) < _WIDEST:
        return picture
    return resized(picture, round(height * max(1.0, down / across)), round(width * max(1.0, across / down)))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The file, unpacked where it is packed, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file, False
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            try:
                yield unpacked, True  # pyright: ignore[reportReturnType]  # a stream of bytes
            except zlib.error as error:
                raise ValueError(f"is damaged, it cannot be unpacked ({error})") from None
