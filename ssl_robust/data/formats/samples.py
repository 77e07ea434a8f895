"""Samples of more than 8 bits as their file means them, where Pillow alone would change them without a word.

Pillow takes signed bytes for unsigned ones, packed big-endian TIFFs for little-endian ones, and the upper half of
16-bit colours for the whole; 64-bit and half-precision floats, big-endian integers of 12 and 32 bits and some TIFFs in
which white is zero it can unpack, but does not open.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import ImageOps, TiffImagePlugin
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, SAMPLEFORMAT

_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_INTEL, _MOTOROLA = b"II", b"MM"
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_OTHER = {"B": "L", "L": "B", "N": "L" if sys.byteorder == "big" else "B"}  # byte orders; N is that of this machine
# libtiff unpacks into the byte order of this machine, whatever that of the file.
_UNPACKED = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "I;32B": "I;32N", "F;32BF": "F;32NF", "F;64BF": "F;64NF",
             "F;64F": "F;64NF", "F;32F": "F;32NF", "I;16S": "I;16NS", "I;32S": "I;32NS"}  # fmt: skip
_UPPER_AND_LOWER = ("RGB;16", "RGBX;16", "RGBA;16")  # kinds of colour whose lower bytes the other byte order gives


def _teach() -> None:
    """Name the kinds of grey samples that Pillow can unpack and does not know; what it knows stays."""
    for white in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        for order, big in ((_INTEL, ""), (_MOTOROLA, "B")):
            for kind, bits, mode, raw in (
                (_UNSIGNED, 12, "I;16", "I;12"), (_UNSIGNED, 16, f"I;16{big}", f"I;16{big}"),
                (_UNSIGNED, 32, "I", f"I;32{big}"), (_SIGNED, 16, "I", f"I;16{big}S"),
                (_SIGNED, 32, "I", f"I;32{big}S"), (_SIGNED, 8, "L", "L"), (_FLOAT, 16, f"I;16{big}", f"I;16{big}"),
                (_FLOAT, 32, "F", f"F;32{big}F"), (_FLOAT, 64, "F", f"F;64{big}F"),
            ):  # fmt: skip
                TiffImagePlugin.OPEN_INFO.setdefault((order, white, (kind,), 1, (bits,), ()), (mode, raw))


_teach()


def white_is_zero(image: ImageFile) -> bool:
    """Whether a page stores white as zero and Pillow, which turns 8 bits and less round, leaves that to others."""
    tags = _tags(image)
    deep = image.mode not in ("1", "L") or tags.get(SAMPLEFORMAT, (_UNSIGNED,))[0] == _SIGNED
    return deep and tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO


def bits_of(image: ImageFile) -> int | None:
    """How many bits an unsigned grey page of 9 to 16 bits has; None for all others."""
    if not image.mode.startswith("I"):
        return None
    tags = _tags(image)
    if not tags:
        return 16  # PNG, of mode I before Pillow 11
    bits = tags.get(BITSPERSAMPLE, (1,))[0]
    return bits if bits <= 16 and tags.get(SAMPLEFORMAT, (_UNSIGNED,))[0] == _UNSIGNED else None


def grey_samples(image: ImageFile) -> np.ndarray:
    """A page of mode L, I, F or I;16 -> (H, W), upright, of the type that it was stored in."""
    tags = _tags(image)
    kind, bits = tags.get(SAMPLEFORMAT, (_UNSIGNED,))[0], tags.get(BITSPERSAMPLE, (16,))[0]
    if image.tile and image.tile[0][0] == "libtiff":
        raw = _raw_mode(image.tile[0])
        _unpack_as(image, _UNPACKED.get(raw, raw))
    image.load()
    pixels = np.asarray(ImageOps.exif_transpose(image))
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if image.mode == "L":
        return pixels.view(np.int8) if kind == _SIGNED else pixels
    if kind == _FLOAT and bits == 16:
        return pixels.view(np.float16)
    if image.mode == "I" and (kind, bits) == (_UNSIGNED, 32):
        return pixels.view(np.uint32)
    return pixels.astype(np.uint16) if bits_of(image) else pixels


def is_deep(image: ImageFile) -> bool:
    """Whether a page, not yet loaded, holds colour or alpha of 16 bits, of which Pillow would give 8."""
    if not image.tile:
        return False
    raw = _raw_mode(image.tile[0])
    separate = _tags(image).get(PLANAR_CONFIGURATION) == 2 and image.mode in ("RGB", "RGBA")
    return (
        raw[:-1] in _UPPER_AND_LOWER
        or (raw == "LA;16B" and image.mode == "RGBA")
        or (separate and _tags(image).get(BITSPERSAMPLE, (8,))[0] == 16)
    )


def deep_color(image: ImageFile, again: ImageFile) -> np.ndarray:
    """A page of 16-bit colour, or of 16-bit grey with alpha -> (H, W, 2 to 4) uint16, upright.

    Pillow unpacks one byte of each two. Unpacked once more as if the byte order were the other, it is the other byte.

    Args:
        image: opened, at its page, not yet loaded.
        again: the same once more.

    Raises:
        ValueError: its colours lie in separate planes that are packed, of which Pillow unpacks the upper bytes alone.
    """
    raw = _raw_mode(image.tile[0])
    if raw == "LA;16B":  # four bytes a pixel, as RGBA has
        _unpack_as(image, "RGBA")
        wide = _loaded(image).astype(np.uint16)
        return wide[..., 0::2] << 8 | wide[..., 1::2]
    if _tags(image).get(PLANAR_CONFIGURATION) == 2:
        if image.tile[0][0] == "libtiff":
            raise ValueError("holds 16-bit colours in separate planes, packed; save it unpacked, or as PNG")
        order = "B" if _tags(image).prefix == _MOTOROLA else "L"
        _unpack_as(image, f"*;16{order}")  # `R`, which is 8 bits, though there are 16
        _unpack_as(again, f"*;16{_OTHER[order]}")
    else:
        _unpack_as(again, raw[:-1] + _OTHER[raw[-1]])
    return _loaded(image).astype(np.uint16) << 8 | _loaded(again)


def _tags(image: ImageFile) -> Any:
    """What a TIFF says about its page; empty for other pictures."""
    return getattr(image, "tag_v2", {})


def _raw_mode(tile: Any) -> str:
    """How the samples lie in the file; "" where a decoder needs not be told."""
    raw = tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]
    return raw if isinstance(raw, str) else ""


def _unpack_as(image: ImageFile, raw: str) -> None:
    """Let the samples count as lying in another way; `*` stands for what is there before."""
    found = []
    for tile in image.tile:
        mode = raw.replace("*", _raw_mode(tile))
        old: Any = tile[3]
        args = (mode, *old[1:]) if isinstance(old, tuple) else mode
        found.append(getattr(type(tile), "_make", tuple)((*tile[:3], args)))  # a plain tuple before Pillow 11
    image.tile = found


def _loaded(image: ImageFile) -> np.ndarray:
    image.load()
    return np.asarray(ImageOps.exif_transpose(image))
