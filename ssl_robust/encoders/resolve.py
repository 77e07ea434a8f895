"""`checkpoint=` and `data=` of a configuration -> the encoder and the scans prepared for it.

They depend on each other: a checkpoint's card decides size, channels and resizing of the scans, and the scans decide
the normalisation of a random encoder. Every stage that starts from an encoder calls this one function.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch

from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.encoders.card import read_card
from ssl_robust.encoders.checkpoint import find_checkpoint, load_encoder
from ssl_robust.encoders.encoder import Encoder, create_encoder
from ssl_robust.run import UserError
from ssl_robust.training.processor import prepare_processor

if TYPE_CHECKING:
    from omegaconf import DictConfig


def open_encoder_and_scans(config: DictConfig) -> tuple[Encoder, ScanSet]:
    """The encoder that `checkpoint` names, in evaluation mode on the CPU, and the scans as it wants them.

    The process is prepared for it, as for training: on a CPU an encoder is a third faster for it or more.

    Args:
        config: holds `data`, `seed`, `checkpoint` (a run directory, a shipped name, none = random weights, imagenet =
            timm's own), and for the last two `encoder`, `encoder_args` and `encoder_file` (`configs/_encoder.yaml`).

    Raises:
        UserError: the checkpoint or the scans cannot be had, or they do not fit each other.
    """
    prepare_processor()
    choice = config.checkpoint
    if choice is None:
        raise UserError("checkpoint= is empty; give a pretrain run's directory, none (random) or imagenet")
    if config.encoder_file is not None and choice != "imagenet":
        raise UserError("encoder_file= is read with checkpoint=imagenet only; add that, or take encoder_file away")
    if choice in ("none", "imagenet"):
        scans = open_scans(config.data)
        scans.say_found()
        return _new_encoder(config, scans, pretrained=choice == "imagenet"), scans
    card = read_card(find_checkpoint(choice))
    scans = open_scans(config.data, image_size=card.input_size, channels=card.in_chans, resize=card.resize)
    scans.say_found()
    if scans.resize != card.resize:
        print(
            f"Note: the encoder learned from scans resized by {card.resize}, these are resized by {scans.resize}; "
            f"data.resize={card.resize} matches it",
            file=sys.stderr,
        )
    return load_encoder(choice, in_chans=scans.channels), scans


def _new_encoder(config: DictConfig, scans: ScanSet, *, pretrained: bool) -> Encoder:
    mean = std = None
    if not pretrained:
        train = scans.manifest.rows("train")
        mean, std = scans.statistics(train if len(train) else scans.manifest.rows("all"))
    # Forked, so that the weights follow from the seed alone, whatever ran before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = create_encoder(
            config.encoder,
            in_chans=scans.channels,
            input_size=scans.image_size,
            mean=mean,
            std=std,
            pretrained=pretrained and (config.encoder_file or True),
            encoder_args=config.encoder_args,
        )
    return encoder.eval()
