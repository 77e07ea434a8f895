"""One image file -> one array of what is stored in it; and an array -> a square of the wanted side.

Pillow's `convert("RGB")` turns almost every pixel of a 16-bit scan into 255 without a word, so each mode is handled
by name here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".bmp", ".webp"})
_PHOTOMETRIC = 262  # TIFF tag
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow


def read_scan(path: Path) -> np.ndarray:
    """An image file -> (H, W) where it is grey, else (H, W, 3); uint16 where it stores more than 8 bits, else uint8.

    Upright (EXIF orientation applied); palettes resolved; what is transparent becomes black; 16-bit colour comes as its
    upper 8 bits (Pillow knows no more).

    Args:
        path: PNG, JPEG, TIFF, BMP or WebP.

    Raises:
        OSError: the file is missing, cut short or no image.
        ValueError: it holds several pages, or pixels without a fixed scale (float, 32 bits).
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # some other library's setting; the lower half of a scan would be grey
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    with Image.open(path) as image:
        pages = getattr(image, "n_frames", 1)
        if pages > 1 and image.format != "MPO":  # MPO: a camera's JPEG, with its preview as a second page
            raise ValueError(f"holds {pages} pages; save each as a file of its own")
        image.load()
        pixels = _pixels(ImageOps.exif_transpose(image))
        # Pillow turns "white is zero" round in 8-bit TIFFs, but not in those of 16 bits.
        white_is_zero = image.format == "TIFF" and image.getexif().get(_PHOTOMETRIC) == 0
        return 65535 - pixels if white_is_zero and pixels.dtype == np.uint16 else pixels


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        return _integers(image)
    if image.mode == "F":
        raise ValueError("holds float pixels, whose scale is unknown; save it with 8 or 16 bits")
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        color = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", color.size, "black"), color).convert("RGB")
    if image.mode == "L":
        return np.asarray(image)
    return without_color(np.asarray(image if image.mode == "RGB" else image.convert("RGB")))


def _integers(image: Image.Image) -> np.ndarray:
    """Modes `I;16`, `I;16B` and `I`: kept if they fit 16 bits."""
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(f"holds values from {pixels.min()} to {pixels.max()}; expected 0 to 65535")
    return pixels.astype(np.uint16)


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
        return _resized(pixels, size, size)
    scale = size / max(height, width)
    inner = _resized(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    square = np.zeros((size, size, *pixels.shape[2:]), pixels.dtype)
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    square[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return square


def _resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    how = Image.Resampling.BICUBIC
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((width, height), how))
    if pixels.ndim == 3:
        return np.stack([_resized(channel, height, width) for channel in np.moveaxis(pixels, -1, 0)], axis=-1)
    # Pillow has no 16-bit resampling; float32 holds all 16 bits, only the cubic overshoot is cut.
    wide = np.asarray(Image.fromarray(pixels.astype(np.float32)).resize((width, height), how))
    return np.rint(wide).clip(0, 65535).astype(np.uint16)
