"""One pass over the decoded scans: contrast, values at the ends, margins, levels, and what tells a scan from others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ssl_robust.data.histogram import N_BINS, histogram
from ssl_robust.data.scanset import ScanSet
from ssl_robust.duplicates import FINE, digests, in_grey, structure
from ssl_robust.run import progress

COARSE = 16  # side of the grid in which look-alikes are searched; a finer one confirms what is found
_CHUNK = 1 << 21  # values looked at together
_FLAT = 0.02  # of a scan's own range: rows at its edge that vary less are margin
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Appearance:
    """What the pixels of N scans are like; padding that made a scan square is left out.

    Attributes:
        contrast: (N,) standard deviation of the values, 1 = the whole range of the type.
        largest: (N,) largest value.
        black: (N,) share of the pixels at the lowest value of the type.
        white: (N,) share of them at the highest.
        margins: (N, 4) share of the height or width that is constant at the top, bottom, left and right.
        levels: (N, 5 C) five quantiles of each channel, in [0, 1].
        coarse: (N, 256) float32, unit vectors of the structure that is finer than three cells of a 16 x 16 grid.
        fine: (N, 1024) float16, the same of a 32 x 32 grid.
        digests: (N,) the same number for the same pixels.
    """

    contrast: np.ndarray
    largest: np.ndarray
    black: np.ndarray
    white: np.ndarray
    margins: np.ndarray
    levels: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray
    digests: np.ndarray


def appearance(scans: ScanSet, sizes: np.ndarray) -> Appearance:
    """Look at every scan once.

    Args:
        scans: the decoded scans.
        sizes: (N, 2) height and width as stored, NaN where unknown: the scan is then taken to fill its square.
    """
    n, n_channels = len(scans), scans.channels
    columns = {
        "contrast": np.empty(n, np.float32), "largest": np.empty(n, np.int64), "black": np.empty(n, np.float32),
        "white": np.empty(n, np.float32), "margins": np.empty((n, 4), np.float32),
        "levels": np.empty((n, n_channels * len(_QUANTILES)), np.float32),
        "coarse": np.empty((n, COARSE**2), np.float32), "fine": np.empty((n, FINE**2), np.float16),
        "digests": np.empty(n, np.uint64),
    }  # fmt: skip
    blocks = list(_blocks(_inside(sizes, scans.image_size, scans.resize), scans.image_size**2 * n_channels))
    for rows, (top, left, height, width) in progress(blocks, total=len(blocks), what="looking at blocks of scans"):
        block = np.asarray(scans.pixels[rows])[:, top : top + height, left : left + width]
        for name, values in _of_block(block).items():
            columns[name][rows] = values
    return Appearance(**columns)


def _inside(sizes: np.ndarray, side: int, resize: str) -> np.ndarray:
    """(N, 4) top, left, height and width of the scan in its square; see `ssl_robust.data.scans.fit`."""
    inner = np.full((len(sizes), 2), side)
    if resize == "pad":
        known = np.isfinite(sizes).all(axis=1)
        scaled = sizes[known] * (side / sizes[known].max(axis=1, keepdims=True))
        inner[known] = np.maximum(1, np.rint(scaled)).astype(int)
    return np.concatenate([(side - inner) // 2, inner], axis=1)


def _blocks(inside: np.ndarray, n_values: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows that fill their squares alike, in order and not too many at once, and how they do."""
    shapes, which = np.unique(inside, axis=0, return_inverse=True)
    step = max(1, _CHUNK // n_values)
    for number, shape in enumerate(shapes):
        rows = np.flatnonzero(which.ravel() == number)
        for start in range(0, len(rows), step):
            yield rows[start : start + step], shape


def _of_block(block: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of `Appearance` for (n, h, w, C) scans."""
    top = int(np.iinfo(block.dtype).max)
    grey = in_grey(block)
    shares = histogram(block).reshape(len(block), -1, N_BINS) * block.shape[-1]  # of each channel, sum to one
    passed = shares.cumsum(axis=2)[:, :, None] >= np.array(_QUANTILES)[:, None] - 1e-6
    return {
        "contrast": grey.std(axis=(1, 2)) / top,
        "largest": block.max(axis=(1, 2, 3)),
        "black": (block == 0).all(axis=3).mean(axis=(1, 2)),
        "white": (block == top).all(axis=3).mean(axis=(1, 2)),
        "margins": _margins(grey),
        "levels": passed.argmax(axis=3).reshape(len(block), -1) / (N_BINS - 1),
        "coarse": structure(grey, COARSE),
        "fine": structure(grey, FINE).astype(np.float16),
        "digests": digests(block),
    }


def _margins(grey: np.ndarray) -> np.ndarray:
    """(n, h, w) -> (n, 4) shares of rows at the top and bottom, of columns left and right that are nearly constant."""
    flat = _FLAT * np.ptp(grey, axis=(1, 2))[:, None]
    found = []
    for axis in (2, 1):
        varies = np.ptp(grey, axis=axis) > flat
        length = varies.shape[1]
        nothing = ~varies.any(axis=1)
        for side in (varies, varies[:, ::-1]):
            found.append(np.where(nothing, length, side.argmax(axis=1)) / length)
    return np.stack(found, axis=1)
