"""What pretraining begins with: new weights, or an encoder that has learned from other scans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.encoder import Encoder, create_encoder
from ssl_robust.encoders.resolve import open_encoder

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def starting_encoder(settings: Mapping[str, Any], scans: ScanSet, rows: np.ndarray, fabric: Fabric) -> Encoder:
    """The encoder that `checkpoint` names, or one with new weights, which follow from the seed.

    Args:
        settings: the resolved configuration.
        scans: what is learned from.
        rows: which of them; new weights come with their mean and standard deviation.
        fabric: the processes that train together.

    Raises:
        UserError: there is no such encoder.
    """
    torch.manual_seed(settings["seed"])
    if settings["checkpoint"] != "none":
        encoder = open_encoder(OmegaConf.create(dict(settings)), scans)
        arguments = encoder.model_args
        if "img_size" not in arguments or arguments.get("dynamic_img_size"):  # the others bring views to their own size
            encoder.input_size = scans.image_size
        return encoder
    # One process reads all scans for it; the others are told.
    mean, std = fabric.broadcast(scans.statistics(rows) if fabric.is_global_zero else ([], []))
    return create_encoder(
        settings["encoder"],
        in_chans=scans.channels,
        input_size=scans.image_size,
        mean=mean,
        std=[max(value, 1e-3) for value in std],
        encoder_args=settings["encoder_args"],
    )
