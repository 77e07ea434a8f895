"""Brightness and colour of scans, and nothing of where they are: the least that any feature has to beat."""

from __future__ import annotations

import numpy as np

N_BINS = 64
_CHUNK = 1 << 22  # values looked at together


def histogram(pixels: np.ndarray) -> np.ndarray:
    """How frequent each of 64 levels is in each channel of a scan.

    Args:
        pixels: (N, S, S, C) uint8 or uint16, perhaps a memory map.

    Returns:
        (N, 64 C) float32 shares of all values of a scan, rows sum to one.
    """
    top = int(np.iinfo(pixels.dtype).max)
    level = np.minimum(np.arange(top + 1) * N_BINS // top, N_BINS - 1)  # of every value that there can be
    n_channels, size = pixels.shape[-1], int(np.prod(pixels.shape[1:]))
    found = np.empty((len(pixels), N_BINS * n_channels), np.float32)
    step = max(1, _CHUNK // size)
    for start in range(0, len(pixels), step):
        block = np.asarray(pixels[start : start + step])
        cells = np.arange(len(block) * n_channels).reshape(-1, 1, 1, n_channels)  # one per scan and channel
        counts = np.bincount((cells * N_BINS + level[block]).ravel(), minlength=cells.size * N_BINS)
        found[start : start + step] = counts.reshape(len(block), -1) / size
    return found
