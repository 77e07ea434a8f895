"""Stored values of a DICOM frame -> pixels: modality table, window or table of interest, inversion, padding, palettes.

PS3.3 C.7.6.3 (palettes), C.11.1 (modality), C.11.2 (values of interest), C.7.6.16.2 (per frame); the standard is at
https://dicom.nema.org/medical/dicom/current/output/html/part03.html.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pydicom import Dataset

from ssl_robust.data.formats.dicom_frames import Frames
from ssl_robust.data.formats.dicom_tables import Table, palette
from ssl_robust.data.formats.rules import Refused, Rules
from ssl_robust.data.formats.values import limits, windowed
from ssl_robust.data.scans import without_color

_TOP = 65535
# Up to so many bits stored tell what to expect (8 of ultrasound, 10 to 12 of X-rays). 16 only mean that the values fit:
# a CT of 1,600 gray levels would become a picture of 6 in 8 bits.
_TELLING = 12


def colored(frames: Frames, index: int) -> np.ndarray:
    """A frame in color or with a palette -> (H, W, 3) uint8 or uint16, (H, W) where it is grey all the same."""
    values, header = frames.stored(index), frames.header
    if header.PhotometricInterpretation == "PALETTE COLOR":
        return without_color(np.stack([table(values) for table in palette(header)], axis=-1))
    low, high = _ends(header)
    return without_color(values if values.dtype == np.uint8 and high == 255 else windowed(values, low, high))


def measured(frames: Frames, index: int) -> np.ndarray:
    """(n,) values of a frame in the unit of its modality, without padding."""
    stored = frames.stored(index)
    return _modality(frames, index)[0](stored)[~_padding(stored, frames.header)]


def grey(frames: Frames, index: int, rules: Rules, sample: Callable[[], np.ndarray]) -> np.ndarray:
    """A frame of one sample per pixel -> (H, W) uint8 or uint16, white is bright.

    Args:
        frames: the file.
        index: which of its frames.
        rules: `window` decides.
        sample: gives values of several frames, where percentiles are taken.
    """
    stored, auto = frames.stored(index), rules.window == "auto"
    blank = _padding(stored, frames.header)
    apply, full = _modality(frames, index)
    values = apply(stored)
    pixels = _curve(values, frames, index) if auto else None
    if pixels is None:
        told = _window(frames, index) if auto else None
        if auto and frames.header.get("BitsStored", 64) > _TELLING:
            full = None
        spread = rules.window == "percentiles" or (rules.window in ("auto", "full") and told is None and full is None)
        among = values if not spread else values[~blank] if frames.n == 1 else sample()
        low, high = limits(among if among.size else np.zeros(1), rules, told=told, full=full)
        same = values.dtype == np.uint8 and (low, high) == (0, 255)
        pixels = values if same else windowed(values, low, high)
    if frames.header.PhotometricInterpretation == "MONOCHROME1":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return np.where(blank, pixels.dtype.type(0), pixels)


def _groups(frames: Frames, index: int, name: str) -> Dataset:
    """Where an element that may differ between frames stands: with the frame, with all frames, or in the header."""
    for sequence, row in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        items = frames.header.get(sequence) or []
        if row < len(items) and (found := items[row].get(name)):
            return found[0]
    return frames.header


def _modality(frames: Frames, index: int) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[float, float] | None]:
    """Stored values -> values of the modality, and the lowest and highest of these; None where they have no end."""
    header = frames.header
    if tables := header.get("ModalityLUTSequence"):
        table = Table.of_item(tables[0], header)
        return table, (0.0, table.top)
    place = _groups(frames, index, "PixelValueTransformationSequence")
    slope, intercept = _number(place, "RescaleSlope", 1.0), _number(place, "RescaleIntercept", 0.0)
    if slope == 0:
        raise Refused("has a RescaleSlope of 0, by which all values would be the same")
    ends = _ends(header) if "BitsStored" in header and header.BitsStored <= 16 else None
    full = None if ends is None else (min(ends) * slope + intercept, max(ends) * slope + intercept)
    if (slope, intercept) == (1, 0):
        return lambda stored: stored, full
    return lambda stored: stored * np.float64(slope) + intercept, full and (min(full), max(full))


def _ends(header: Dataset) -> tuple[float, float]:
    """The lowest and the highest value that the stored bits can hold."""
    half = 2.0 ** (header.BitsStored - 1)
    return (-half, half - 1) if header.get("PixelRepresentation") == 1 else (0.0, 2 * half - 1)


def _number(place: Dataset, keyword: str, default: float) -> float:
    value = place.get(keyword)
    if value is None or value == "":
        return default
    if not np.isfinite(float(value)):
        raise Refused(f"has no usable {keyword} in its header")
    return float(value)


def _first(place: Dataset, keyword: str) -> Any:
    """The first of the alternatives that an element may list."""
    value = place.get(keyword)
    if value is None or isinstance(value, str) or not hasattr(value, "__len__"):
        return value
    return value[0] if len(value) else None


def _told(frames: Frames, index: int) -> tuple[float, float, str] | None:
    """Center, width and function of the first window that the file names; None where that cannot be one."""
    place = _groups(frames, index, "FrameVOILUTSequence")
    center, width = _first(place, "WindowCenter"), _first(place, "WindowWidth")
    if center in (None, "") or width in (None, ""):
        return None
    function = str(place.get("VOILUTFunction") or "LINEAR").upper()
    usable = np.isfinite([float(center), float(width)]).all() and float(width) >= (1 if function == "LINEAR" else 1e-9)
    return (float(center), float(width), function) if usable else None


def _window(frames: Frames, index: int) -> tuple[float, float] | None:
    """What becomes black and white by LINEAR (PS3.3 C.11.2.1.2.1) or LINEAR_EXACT (C.11.2.1.3.2)."""
    told = _told(frames, index)
    if told is None:
        return None
    center, width, function = told
    half = width / 2 if function == "LINEAR_EXACT" else (width - 1) / 2
    middle = center if function == "LINEAR_EXACT" else center - 0.5
    return middle - half, middle + half


def _curve(values: np.ndarray, frames: Frames, index: int) -> np.ndarray | None:
    """Values -> uint16 where the file wants another curve than a straight one; else None."""
    if tables := _groups(frames, index, "FrameVOILUTSequence").get("VOILUTSequence"):
        table = Table.of_item(tables[0], frames.header)
        return windowed(table(values), 0.0, table.top)
    told = _told(frames, index)
    if told is None:
        return None
    center, width, function = told
    if function == "SIGMOID":  # PS3.3 C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w))
        exponent = -4 * (values.astype(np.float64) - center) / width
        return windowed(1 / (1 + np.exp(exponent.clip(-99, 99))), 0.0, 1.0)
    if function == "LINEAR" and width == 1:  # a step: equation C.11-1 has no slope left
        return np.where(values > center - 0.5, np.uint16(_TOP), np.uint16(0))
    return None


def _padding(stored: np.ndarray, header: Dataset) -> np.ndarray:
    """Where there is no picture: PixelPaddingValue, up to PixelPaddingRangeLimit (PS3.3 C.7.5.1.1.2)."""
    prefix = {"f4": "FloatPixel", "f8": "DoubleFloatPixel"}.get(stored.dtype.str[1:], "Pixel")
    value = header.get(f"{prefix}PaddingValue")
    if not isinstance(value, int | float):
        return np.zeros(stored.shape, bool)
    limit = header.get(f"{prefix}PaddingRangeLimit")
    ends = [value, limit if isinstance(limit, int | float) else value]
    if stored.dtype.kind == "i":  # some write 63536 for -2000
        ends = [end - 65536 if end > 32767 else end for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))
