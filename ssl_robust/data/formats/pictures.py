"""Pictures: PNG, JPEG, TIFF, BMP and WebP, through Pillow.

Pillow's `convert("RGB")` turns almost every pixel of a 16-bit scan into 255 without a word, so each mode is handled
by name here; `samples` has those of more than 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, repeat
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFile, ImageOps, UnidentifiedImageError

from ssl_robust.data.formats.known import SEVERAL
from ssl_robust.data.formats.rules import Contents, Rules
from ssl_robust.data.formats.samples import bits_of, deep_color, grey_samples, is_deep, white_is_zero
from ssl_robust.data.formats.values import limits, windowed
from ssl_robust.data.scans import without_color

LARGEST = 89_478_485  # pixels, where Pillow begins to warn; a film of 35 x 43 cm at 0.05 mm has 60 million
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def contents(path: Path, rules: Rules) -> Contents:
    """The pages of a file that holds several; most kinds of picture are not opened for it."""
    if path.suffix.lower() not in SEVERAL:
        return Contents()
    with _opened(path) as image:
        n = _n_pages(image)
    return Contents(parts=tuple(f"page={page}" for page in range(0, n, rules.frames)) if n > 1 else ("",))


def read(path: Path, parts: Sequence[str], rules: Rules) -> Iterator[np.ndarray]:
    """Pages -> (H, W) where they are grey, else (H, W, 3); 8 bits as they are, more through the window of the set.

    Upright (EXIF orientation applied); palettes resolved; what is transparent becomes black. Floats, signed integers
    and those of 32 bits are measured values: all pages of a file share one window.

    Raises:
        OSError: the file is missing, cut short or no image.
        ValueError: it holds several pages and none is named, it has no such page, or a page is too large.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # some other library's setting; the lower half of a scan would be grey
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    with _opened(path) as image:
        n = _n_pages(image)
        if list(parts) == [""] and n > 1:
            raise ValueError(f"holds {n} pages; name one, as in {path.name}#page=0")
        shared = None
        for part, times in groupby(parts):
            page = _page(part, n)
            _turn_to(image, page)
            white, bits = white_is_zero(image), bits_of(image)
            pixels = _pixels(image, path, page)
            if pixels.dtype not in (np.uint8, np.uint16):
                shared = shared or _window(path, n, rules)
                pixels = windowed(pixels, *shared)
            elif pixels.dtype == np.uint16 and (bits == 12 or rules.window not in ("auto", "full")):
                pixels = windowed(pixels, *limits(pixels, rules, told=None, full=(0.0, 2.0 ** (bits or 16) - 1)))
            yield from repeat(65535 - pixels if white else pixels, len(list(times)))


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    with path.open("rb") as file:  # given a path, Pillow maps the file, and scrambles TIFFs that lie on their side
        try:
            image = Image.open(file)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise ValueError(_too_large("more")) from None
        except UnidentifiedImageError:
            file.seek(0)
            if file.read(4) in _TIFF:
                raise ValueError("is damaged, or a TIFF of a kind that is not read; save it as PNG") from None
            raise
        _check_size(image)
        try:
            yield image
        except MemoryError:  # a few bytes may ask for gigabytes
            raise ValueError("asks for more memory than there is; it is damaged, or too large") from None


def _check_size(image: ImageFile.ImageFile) -> None:
    if image.width * image.height > LARGEST:
        raise ValueError(_too_large(f"{image.width:,} x {image.height:,}"))


def _too_large(size: str) -> str:
    return f"has {size} pixels, beyond the {LARGEST:,} that are read; cut it into tiles, as one does with slides"


def _n_pages(image: ImageFile.ImageFile) -> int:
    # MPO: a camera's JPEG, with its preview as a second page.
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def _page(part: str, n: int) -> int:
    name, _, digits = part.partition("=")
    if not part:
        return 0
    if name != "page" or not digits.isdecimal() or int(digits) >= n:
        raise ValueError(f"has no part {part}; its last one is page={n - 1}")
    return int(digits)


def _turn_to(image: ImageFile.ImageFile, page: int) -> None:
    image.seek(page)
    _check_size(image)  # pages may differ


def _window(path: Path, n: int, rules: Rules) -> tuple[float, float]:
    """One window of all measured values of a file, of those pages that the rules take."""
    if isinstance(rules.window, tuple):
        return rules.window
    found = []
    with _opened(path) as image:
        for page in range(0, n, rules.frames):
            _turn_to(image, page)
            pixels = _pixels(image, path, page)
            if pixels.dtype not in (np.uint8, np.uint16):
                found.append(pixels.ravel())
    return limits(np.concatenate(found), rules, told=None, full=None)


def _pixels(image: ImageFile.ImageFile, path: Path, page: int) -> np.ndarray:
    """A page as it is stored, upright; in colour (H, W, 3)."""
    if image.mode[0] in "IF" or (image.mode == "L" and "transparency" not in image.info):
        return grey_samples(image)
    if is_deep(image):
        with _opened(path) as again:
            again.seek(page)
            deep = deep_color(image, again)
        return without_color(_on_black(deep))
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "P":
        upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
    if upright.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        upright = ImageChops.invert(upright)  # Adobe stores paper as 255, and Pillow takes all for Adobe's
    if upright.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in upright.info:
        color = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", color.size, "black"), color)
    grey = upright.mode == "1"
    return without_color(np.asarray(upright.convert("L" if grey else "RGB")))


def _on_black(deep: np.ndarray) -> np.ndarray:
    """Colour or grey of 16 bits, perhaps with alpha -> (H, W, 3)."""
    colors = deep[..., : 3 if deep.shape[2] > 2 else 1]
    if deep.shape[2] % 2 == 0:
        colors = np.rint(colors * (deep[..., -1:] / 65535.0)).astype(np.uint16)
    return np.broadcast_to(colors, (*colors.shape[:2], 3))
