"""Samples of more than 8 bits as their file means them, where Pillow alone would change them without a word.

Pillow takes signed bytes for unsigned ones, packed big-endian TIFFs for little-endian ones, and the upper half of
16-bit colours for the whole; 64-bit and half-precision floats, big-endian integers of 12 and 32 bits and some TIFFs in
which white is zero it can unpack, but does not open.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, SAMPLEFORMAT

_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_INTEL, _MOTOROLA = b"II", b"MM"
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_NATIVE_IS_BIG = sys.byteorder == "big"
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


def white_is_zero(image: Image.Image) -> bool:
    """Whether a page stores white as zero and Pillow, which turns 8 bits and less round, leaves that to others."""
    tags = getattr(image, "tag_v2", {})
    deep = image.mode not in ("1", "L") or tags.get(SAMPLEFORMAT, (_UNSIGNED,))[0] == _SIGNED
    return deep and tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO


def bits_of(image: Image.Image) -> int | None:
    """How many bits an unsigned grey page of 9 to 16 bits has; None for all others."""
    if not image.mode.startswith("I"):
        return None
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 16  # PNG, of mode I before Pillow 11
    bits = tags.get(BITSPERSAMPLE, (1,))[0]
    return bits if bits <= 16 and tags.get(SAMPLEFORMAT, (_UNSIGNED,))[0] == _UNSIGNED else None


def grey_samples(image: Image.Image) -> np.ndarray:
    """A page of mode L, I, F or I;16 -> (H, W), upright, of the type that it was stored in."""
    tags = getattr(image, "tag_v2", {})
    kind, bits = tags.get(SAMPLEFORMAT, (_UNSIGNED,))[0], tags.get(BITSPERSAMPLE, (16,))[0]
    image.tile = [
        tile._replace(args=(_UNPACKED.get(tile.args[0], tile.args[0]), *tile.args[1:]))
        if tile[0] == "libtiff"
        else tile
        for tile in image.tile
    ]
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


def is_deep(image: Image.Image) -> bool:
    """Whether a page, not yet loaded, holds colour or alpha of 16 bits, of which Pillow would give 8."""
    if not image.tile:
        return False
    raw = _raw_mode(image.tile[0].args)
    separate = getattr(image, "tag_v2", {}).get(PLANAR_CONFIGURATION) == 2 and image.mode in ("RGB", "RGBA")
    return (
        raw[:-1] in _UPPER_AND_LOWER or (raw == "LA;16B" and image.mode == "RGBA") or (separate and _bits(image) == 16)
    )


def deep_color(image: Image.Image, again: Image.Image) -> np.ndarray:
    """A page of 16-bit colour, or of 16-bit grey with alpha -> (H, W, 2 to 4) uint16, upright.

    Pillow unpacks one byte of each two. Unpacked once more as if the byte order were the other, it is the other byte.

    Args:
        image: opened, at its page, not yet loaded.
        again: the same once more.

    Raises:
        ValueError: its colours lie in separate planes that are packed, of which Pillow unpacks the upper bytes alone.
    """
    raw = _raw_mode(image.tile[0].args)
    if raw == "LA;16B":  # four bytes a pixel, as RGBA has
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]
        wide = _loaded(image).astype(np.uint16)
        return wide[..., 0::2] << 8 | wide[..., 1::2]
    if getattr(image, "tag_v2", {}).get(PLANAR_CONFIGURATION) == 2:
        if image.tile[0].codec_name == "libtiff":
            raise ValueError("holds 16-bit colours in separate planes, packed; save it unpacked, or as PNG")
        order = "B" if image.tag_v2.prefix == _MOTOROLA else "L"  # pyright: ignore[reportAttributeAccessIssue]
        for each in (image, again):  # `R`, which is 8 bits, though there are 16
            each.tile = [tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:])) for tile in each.tile]
    again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
    return _loaded(image).astype(np.uint16) << 8 | _loaded(again)


def _bits(image: Image.Image) -> int:
    return getattr(image, "tag_v2", {}).get(BITSPERSAMPLE, (8,))[0]


def _raw_mode(args: Any) -> str:
    """How the samples lie in the file; "" where a decoder needs not be told."""
    raw = args[0] if isinstance(args, tuple) and args else args
    return raw if isinstance(raw, str) else ""


def _swapped(args: Any) -> Any:
    raw = _raw_mode(args)
    other = raw[:-1] + {"B": "L", "L": "B", "N": "L" if _NATIVE_IS_BIG else "B"}[raw[-1]]
    return (other, *args[1:]) if isinstance(args, tuple) else other


def _loaded(image: Image.Image) -> np.ndarray:
    image.load()
    return np.asarray(ImageOps.exif_transpose(image))
