"""What an encoder has to beat beside the brightness of the scans alone: weights that learned nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl_robust.data.scanset import ScanSet
    from ssl_robust.encoders.encoder import Encoder


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
