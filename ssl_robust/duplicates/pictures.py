"""Pixels -> what tells a scan from others: a digest for copies, its fine structure for what was changed since."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from ssl_robust.data.scans import with_channels
from ssl_robust.run import progress

FINE = 32  # side of the grid in which scans are compared
_CHUNK = 1 << 21  # values looked at together
_DARK = 0.02  # of a scan's largest value: lines at its edge that are nowhere brighter show nothing


@dataclass(frozen=True)
class Look:
    """What tells N scans from others.

    Attributes:
        fine: (N, 1024) float16, unit vectors of the fine structure on a 32 x 32 grid; zeros for a scan that shows
            nothing: all blank scans are alike.
        digests: (N,) uint64, the same number for the same pixels.
    """

    fine: np.ndarray
    digests: np.ndarray


def look_at(pixels: np.ndarray, rows: np.ndarray, *, blank: float) -> Look:
    """Look at some scans once; dark lines that frame one alike on both sides, as padding does, are left out.

    Without that, scans of one shape among scans of several would all correlate by the edges of their padding.

    Args:
        pixels: (M, S, S, C) uint8 or uint16, perhaps a memory map.
        rows: (N,) rows of it.
        blank: a scan shows nothing where its values deviate by no more than this share of the largest value of all.
    """
    contrast, largest = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    found = Look(np.zeros((len(rows), FINE**2), np.float16), np.empty(len(rows), np.uint64))
    step = max(1, _CHUNK // int(np.prod(pixels.shape[1:])))
    starts = range(0, len(rows), step)
    for start in progress(starts, total=len(starts), what="looking at blocks of scans"):
        block = np.asarray(pixels[rows[start : start + step]])
        found.digests[start : start + step] = digests(block)
        grey = in_grey(block)
        contrast[start : start + step], largest[start : start + step] = grey.std(axis=(1, 2)), grey.max(axis=(1, 2))
        shapes, which = np.unique(_frames(grey), axis=0, return_inverse=True)
        for number, (above, aside) in enumerate(shapes):
            mine = np.flatnonzero(which.ravel() == number)
            inside = grey[mine, above : grey.shape[1] - above, aside : grey.shape[2] - aside]
            found.fine[start + mine] = structure(inside, FINE)
    found.fine[contrast <= blank * largest.max(initial=1)] = 0
    return found


def in_grey(block: np.ndarray) -> np.ndarray:
    """(n, h, w, C) -> (n, h, w) float32."""
    if block.shape[-1] == 1:
        return block[..., 0].astype(np.float32)
    return np.stack([with_channels(scan, 1)[..., 0] for scan in block]).astype(np.float32)


def digests(block: np.ndarray) -> np.ndarray:
    """(n, …) -> (n,) uint64, the same number for the same values."""
    hashes = (hashlib.blake2b(np.ascontiguousarray(scan).data, digest_size=8).digest() for scan in block)
    return np.array([int.from_bytes(each, "little") for each in hashes], dtype=np.uint64)


def structure(grey: np.ndarray, side: int) -> np.ndarray:
    """(n, h, w) -> (n, side * side) unit vectors of what is left when each cell's surroundings are taken off.

    Scans of one kind share their large forms; edges and texture are what tells them apart.
    """
    cells = _area(side, grey.shape[1]) @ grey @ _area(side, grey.shape[2]).T
    around = uniform_filter1d(uniform_filter1d(cells, 3, axis=1, mode="nearest"), 3, axis=2, mode="nearest")
    edges = (cells - around).reshape(len(grey), -1)
    edges -= edges.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(edges, axis=1, keepdims=True)
    return edges / np.maximum(lengths, 1e-6)


def _frames(grey: np.ndarray) -> np.ndarray:
    """(n, 2) dark lines that may be cut off at the top and the bottom alike, and at the left and the right."""
    dark = grey <= _DARK * grey.max(axis=(1, 2), keepdims=True)
    widths = []
    for axis in (2, 1):
        shows = ~dark.all(axis=axis)
        widths.append(np.minimum(shows.argmax(axis=1), shows[:, ::-1].argmax(axis=1)))
    return np.stack(widths, axis=1)


def _area(cells: int, length: int) -> np.ndarray:
    """(cells, length) float32 weights of the mean over equal parts of a line of pixels."""
    edges = np.linspace(0, length, cells + 1)
    first, last = edges[:-1, None], edges[1:, None]
    pixel = np.arange(length)
    overlap = np.minimum(last, pixel + 1) - np.maximum(first, pixel)
    return (np.maximum(overlap, 0) / (last - first)).astype(np.float32)
