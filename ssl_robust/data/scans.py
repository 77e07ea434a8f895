"""One scan of a file -> one array of what is stored in it; and an array -> a square of the wanted side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ssl_robust.data.formats.known import format_of
from ssl_robust.data.formats.rules import Rules

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow


def read_scan(path: Path, part: str = "", rules: Rules | None = None) -> np.ndarray:
    """One scan -> (H, W) where it is grey, else (H, W, 3); uint16 where it stores more than 8 bits, else uint8.

    Args:
        path: a file of a kind that `formats` knows.
        part: which of its scans, "" where it holds one.
        rules: how values become pixels; None: the usual ones.

    Raises:
        OSError: the file is missing, cut short or no image.
        ValueError: it is of no known kind, or what it holds cannot be shown as a scan.
    """
    return next(iter(format_of(path).read(path, [part], rules or Rules())))


def without_color(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W) where all three channels are the same, else unchanged."""
    if pixels.ndim == 3 and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(…) or (…, 3) -> (…, channels): grey is repeated, colour becomes its luma."""
    color = pixels.shape[-1] == 3 and pixels.ndim == 3
    if channels == 3:
        return pixels if color else np.repeat(pixels[..., None], 3, axis=-1)
    return np.rint(pixels @ _LUMA).astype(pixels.dtype)[..., None] if color else pixels[..., None]


def fit(pixels: np.ndarray, size: int, *, resize: str) -> np.ndarray:
    """(H, W[, 3]) -> (size, size[, 3]) of the same type, antialiased.

    Args:
        pixels: uint8 or uint16.
        size: side in pixels.
        resize: "pad" keeps the proportions and centres the scan on black; "squash" stretches it.
    """
    height, width = pixels.shape[:2]
    if height == width == size:
        return pixels
    if resize == "squash":
        return resized(pixels, size, size)
    scale = size / max(height, width)
    inner = resized(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    square = np.zeros((size, size, *pixels.shape[2:]), pixels.dtype)
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    square[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return square


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W[, 3]) -> (height, width[, 3]) of the same type, antialiased; uint8 or uint16."""
    how = Image.Resampling.BICUBIC
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((width, height), how))
    if pixels.ndim == 3:
        return np.stack([resized(channel, height, width) for channel in np.moveaxis(pixels, -1, 0)], axis=-1)
    # Pillow has no 16-bit resampling; float32 holds all 16 bits, only the cubic overshoot is cut.
    wide = np.asarray(Image.fromarray(pixels.astype(np.float32)).resize((width, height), how))
    return np.rint(wide).clip(0, 65535).astype(np.uint16)
