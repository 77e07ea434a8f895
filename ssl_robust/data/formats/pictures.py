"""Pictures: PNG, JPEG, TIFF, BMP and WebP, through Pillow.

Pillow's `convert("RGB")` turns almost every pixel of a 16-bit scan into 255 without a word, so each mode is handled
by name here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from ssl_robust.data.formats.known import SEVERAL
from ssl_robust.data.formats.rules import Contents, Rules
from ssl_robust.data.formats.values import limits, windowed
from ssl_robust.data.scans import without_color

_PHOTOMETRIC = 262  # TIFF tag


def contents(path: Path, rules: Rules) -> Contents:
    """The pages of a file that holds several; most kinds of picture are not opened for it."""
    if path.suffix.lower() not in SEVERAL:
        return Contents()
    with Image.open(path) as image:
        n = _n_pages(image)
    return Contents(parts=tuple(f"page={page}" for page in range(0, n, rules.frames)) if n > 1 else ("",))


def read(path: Path, parts: Sequence[str], rules: Rules) -> Iterator[np.ndarray]:
    """Pages -> (H, W) where they are grey, else (H, W, 3); 8 bits as they are, more through the window of the set.

    Upright (EXIF orientation applied); palettes resolved; what is transparent becomes black; 16-bit colour comes as its
    upper 8 bits (Pillow knows no more).

    Raises:
        OSError: the file is missing, cut short or no image.
        ValueError: it holds several pages and none is named.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # some other library's setting; the lower half of a scan would be grey
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    with Image.open(path) as image:
        if list(parts) == [""] and (n := _n_pages(image)) > 1:
            raise ValueError(f"holds {n} pages; name one, as in {path.name}#page=0")
        for part in parts:
            yield _page(image, part, rules)


def _n_pages(image: Image.Image) -> int:
    # MPO: a camera's JPEG, with its preview as a second page.
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def _page(image: Image.Image, part: str, rules: Rules) -> np.ndarray:
    if part:
        image.seek(int(part.removeprefix("page=")))
    image.load()
    pixels = _pixels(ImageOps.exif_transpose(image))
    # Pillow turns "white is zero" round in 8-bit TIFFs, but not in those of 16 bits.
    if image.format == "TIFF" and image.getexif().get(_PHOTOMETRIC) == 0 and pixels.dtype == np.uint16:
        pixels = 65535 - pixels
    if pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and rules.window in ("auto", "full")):
        return pixels
    full = (0.0, 65535.0) if pixels.dtype == np.uint16 else None
    return windowed(pixels, *limits(pixels, rules, told=None, full=full))


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        return _integers(image)
    if image.mode == "F":
        return np.asarray(image)
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
    """Modes `I;16`, `I;16B` and `I`: uint16 if they fit 16 bits, else as they are."""
    pixels = np.asarray(image)
    return pixels.astype(np.uint16) if pixels.min() >= 0 and pixels.max() <= 65535 else pixels
