"""Small pictures of some scans, saved in a run so that its report needs the scans no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_robust.run import replacing

_SIDE = 112  # pixels; larger scans are reduced, smaller ones stay as they are


def write_thumbnails(out: Path, pixels: np.ndarray, rows: Sequence[int]) -> None:
    """Write thumbnails.npz: `images`, (n, s, s, C) uint8 of the given rows.

    Args:
        out: the run directory.
        pixels: (N, S, S, C) uint8 or uint16.
        rows: n > 0 of them.
    """
    images = np.stack([thumbnail(pixels[row]) for row in rows])
    with replacing(out / "thumbnails.npz") as temporary:
        np.savez_compressed(temporary, images=images)


def thumbnail(scan: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 or uint16 -> (s, s, C) uint8 for the eye; 16 bits are stretched between their 0.5 % tails."""
    if scan.dtype == np.uint16:
        low, high = np.percentile(scan, [0.5, 99.5])
        scan = ((np.clip(scan, low, high) - low) / max(high - low, 1) * 255).round().astype(np.uint8)
    if len(scan) <= _SIDE:
        return np.ascontiguousarray(scan)
    image = Image.fromarray(scan[..., 0] if scan.shape[2] == 1 else scan)
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX)).reshape(_SIDE, _SIDE, scan.shape[2])
