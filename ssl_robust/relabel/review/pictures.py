"""Scans for a browser: whole ones as their values, neighbours as one strip of small pictures.

A whole scan travels as it is stored, since the browser does the windowing: bytes of a grey scan, two bytes for each
pixel where it has more than 8 bits (little-endian), RGBA where it has colour. Its size stands in the headers.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from PIL import Image

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.scans import fit, with_channels
from ssl_robust.data.sources import Source, of_pictures_alone, unwindowed

_SIDE = 144  # px of a neighbour: twice what it takes on the page, for screens with fine pixels
_KEPT = 2000  # small pictures in memory, 40 MB of grey ones
_LINES = 512  # of which percentiles are taken in a large scan
_TAILS = (0.5, 99.5)  # percentiles between which a scan is shown whose file says nothing


class Picture(NamedTuple):
    """A scan as it travels.

    Attributes:
        values: its bytes, row by row.
        headers: `Scan-Width`, `Scan-Height`, `Scan-Kind` (grey8, grey16 or color), and `Scan-Window`, the two values
            that are shown as black and white at first.
    """

    values: bytes
    headers: dict[str, str]


class Pictures:
    """The scans of a manifest, as the project's own readers see them.

    Args:
        manifest: of the scans.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._rows = {name: row for row, name in enumerate(manifest.table["sample_id"])}
        self._seen = manifest.source
        self._whole = self._seen if of_pictures_alone(self._seen) else unwindowed(self._seen)
        # An archive is one stream, which two threads must not read at once; files are opened anew each time.
        self._alone = threading.Lock() if manifest.source.files is None else nullcontext()
        self._small: OrderedDict[str, np.ndarray] = OrderedDict()

    def __contains__(self, sample_id: str) -> bool:
        return sample_id in self._rows

    def whole(self, sample_id: str) -> Picture:
        """One scan at its own resolution.

        Raises:
            KeyError: there is no such scan.
            Exception: any, where it cannot be read.
        """
        pixels = self._read(self._whole, sample_id)
        if pixels.ndim == 3:
            return _picture(_opaque(_eight_bits(pixels)), "color", (0, 255))
        if pixels.dtype == np.uint8:
            return _picture(pixels, "grey8", (0, 255))
        seen = pixels if self._whole is self._seen else self._read(self._seen, sample_id)
        return _picture(pixels.astype("<u2", copy=False), "grey16", first_window(pixels, seen))

    def strip(self, sample_ids: Sequence[str]) -> bytes:
        """Small pictures beside each other -> one PNG; what cannot be read is a grey square.

        Args:
            sample_ids: one or more.
        """
        small = [self._thumbnail(each) for each in sample_ids]
        kind = 3 if any(each.ndim == 3 for each in small) else 1
        strip = np.concatenate([with_channels(each, kind) for each in small], axis=1)
        file = io.BytesIO()
        Image.fromarray(strip if kind == 3 else strip[..., 0]).save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _thumbnail(self, sample_id: str) -> np.ndarray:
        if (known := self._small.get(sample_id)) is not None:
            return known
        try:
            pixels = self._read(self._seen, sample_id)
        except Exception:  # a reader's library raises anything; the strip has its other pictures all the same
            return np.full((_SIDE, _SIDE), 64, np.uint8)
        self._small[sample_id] = made = _eight_bits(fit(pixels, _SIDE, resize="pad"))
        while len(self._small) > _KEPT:
            self._small.popitem(last=False)
        return made

    def _read(self, source: Source, sample_id: str) -> np.ndarray:
        with self._alone:
            return source.read(self._rows[sample_id])


def first_window(pixels: np.ndarray, seen: np.ndarray) -> tuple[int, int]:
    """Which of all values become black and white at first: as the file says, else all but the tails.

    The reader that an audit reads with cuts off what lies outside of the window of a file. Where that became black and
    white tells what the window was, whatever kind of file it is.

    Args:
        pixels: (H, W) uint16, all values that the file holds.
        seen: (H, W) the same scan through the window of the file; brighter where `pixels` are.
    """
    few = pixels[:: max(1, len(pixels) // _LINES), :: max(1, pixels.shape[1] // _LINES)]  # percentiles sort
    low, high = np.percentile(few, _TAILS)
    if seen.shape == pixels.shape and seen is not pixels and not np.array_equal(seen, pixels):
        dark, bright = pixels[seen == 0], pixels[seen == np.iinfo(seen.dtype).max]
        low = dark.max() if dark.size else pixels.min()
        high = bright.min() if bright.size else pixels.max()
    return int(low), max(int(high), int(low) + 1)


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """uint8 as it is; uint16 stretched between its tails, as the pictures of an audit are."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = np.percentile(pixels, _TAILS)
    return ((pixels.clip(low, high) - low) / max(high - low, 1) * 255).round().astype(np.uint8)


def _opaque(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W, 4), the last channel full: what a canvas takes without a loop over its pixels."""
    made = np.full((*pixels.shape[:2], 4), 255, np.uint8)
    made[..., :3] = pixels
    return made


def _picture(pixels: np.ndarray, kind: str, window: tuple[int, int]) -> Picture:
    height, width = pixels.shape[:2]
    headers = {"Scan-Width": str(width), "Scan-Height": str(height), "Scan-Kind": kind,
               "Scan-Window": f"{window[0]} {window[1]}"}  # fmt: skip
    return Picture(np.ascontiguousarray(pixels).tobytes(), headers)
