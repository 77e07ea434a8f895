"""A set that has grown: squares of scans that were decoded before are taken over, the new ones alone are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_robust.files import replacing

_ROW = np.dtype([("state", "<u8"), ("grey", "?"), ("eight_bits", "?")])


@dataclass(frozen=True)
class Earlier:
    """Squares of another set with the same geometry.

    Attributes:
        pixels: (n, S, S, C) of the readable scans.
        kept: (n,) what `keep` wrote of them, sorted by `state`.
        places: (n,) where in `pixels` each of `kept` is.
    """

    pixels: np.ndarray
    kept: np.ndarray
    places: np.ndarray

    def find(self, states: np.ndarray) -> np.ndarray:
        """Where in `kept` each scan is, -1 for one that is new.

        Args:
            states: (N,) uint64, one for each scan.
        """
        if len(self.kept) == 0:
            return np.full(len(states), -1)
        at = np.searchsorted(self.kept["state"], states).clip(max=len(self.kept) - 1)
        return np.where(self.kept["state"][at] == states, at, -1)

    def square(self, at: int) -> np.ndarray:
        """The square as it was decoded: grey or coloured, of 8 or 16 bits, whatever the others were."""
        row, pixels = self.kept[at], self.pixels[self.places[at]]
        pixels = pixels[..., 0] if row["grey"] else pixels
        return (pixels // 257).astype(np.uint8) if row["eight_bits"] and pixels.dtype == np.uint16 else pixels


def keep(path: Path, states: np.ndarray, squares: Sequence[tuple[bool, bool]]) -> None:
    """Write beside a cache which scans it holds, and whether each was grey and of 8 bits.

    Args:
        path: the file.
        states: (n,) uint64 of the readable scans, in the order of the cache.
        squares: for each of them (grey, of 8 bits).
    """
    rows = np.empty(len(states), dtype=_ROW)
    rows["state"] = states
    rows["grey"], rows["eight_bits"] = np.array(squares, dtype=bool).reshape(-1, 2).T
    with replacing(path, private=True) as temporary:
        np.save(temporary, rows, allow_pickle=False)


def earlier(array: Path, rows: Path) -> Earlier | None:
    """What `keep` wrote, with its squares; None where it is damaged or of another version."""
    try:
        kept, pixels = np.load(rows, allow_pickle=False), np.load(array, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if kept.dtype != _ROW or len(kept) != len(pixels):
        return None
    order = np.argsort(kept["state"], kind="stable")
    return Earlier(pixels, kept[order], order)
