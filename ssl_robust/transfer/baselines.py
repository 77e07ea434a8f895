"""What every encoder has to beat: weights that learned nothing, and the brightness of the scans alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ssl_robust.data.scanset import ScanSet
    from ssl_robust.encoders.encoder import Encoder

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


def random_twin(encoder: Encoder, scans: ScanSet, *, seed: int) -> Encoder:
    """An encoder of the same architecture and size with new weights, normalised by the training scans.

    It is the one that `checkpoint=none` gives for the same seed.

    Args:
        encoder: whose twin.
        scans: what both will see.
        seed: of the weights.
    """
    import torch

    from ssl_robust.encoders.encoder import create_encoder

    mean, std = scans.statistics(scans.manifest.rows("train"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = create_encoder(
            encoder.name,
            in_chans=encoder.in_chans,
            input_size=encoder.input_size,
            mean=mean,
            std=std,
            encoder_args=encoder.model_args,
        )
    return twin.eval()
