"""`checkpoint=` and `data=` of a configuration -> the encoder and the scans prepared for it.

They depend on each other: a checkpoint's card decides size, channels and resizing of the scans, and the scans decide
the normalisation of a random encoder. Every stage that starts from an encoder calls this one function.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ssl_robust.data.scanset import FoundScans, ScanSet, find_scans, open_scans
from ssl_robust.encoders.card import Card
from ssl_robust.encoders.checkpoint import load_encoder
from ssl_robust.encoders.encoder import Encoder, create_encoder
from ssl_robust.encoders.places import DEFAULT, NO_WEIGHTS, card_of, name_of
from ssl_robust.run import UserError
from ssl_robust.training.processor import prepare_processor

if TYPE_CHECKING:
    from omegaconf import DictConfig


def open_encoder_and_scans(config: DictConfig) -> tuple[Encoder, ScanSet]:
    """The encoder that `checkpoint` names, in evaluation mode on the CPU, and the scans as it wants them.

    The process is prepared for it, as for training: on a CPU an encoder is a third faster for it or more.

    Args:
        config: holds `data`, `seed`, `checkpoint` (none = random weights, imagenet = timm's own, else as for
            `find_checkpoint`), and for none and imagenet `encoder`, `encoder_args` and `encoder_file`
            (`configs/_encoder.yaml`).

    Raises:
        UserError: the checkpoint or the scans cannot be had, or they do not fit each other.
    """
    prepare_processor()
    scans = open_scans_for(config)
    scans.say_found()
    return open_encoder(config, scans), scans


def open_encoder(config: DictConfig, scans: ScanSet) -> Encoder:
    """The encoder that `checkpoint` names, in evaluation mode on the CPU.

    Args:
        config: as for `open_encoder_and_scans`.
        scans: that it will see, from `open_scans_for`.

    Raises:
        UserError: it cannot be had, or does not fit the scans.
    """
    if config.checkpoint in NO_WEIGHTS:
        return _new_encoder(config, scans)
    return load_encoder(config.checkpoint, in_chans=scans.channels)


def open_scans_for(config: DictConfig) -> ScanSet:
    """The scans as the encoder that `checkpoint` names wants them: its card decides what `data` leaves open.

    Args:
        config: as for `open_encoder_and_scans`.

    Raises:
        UserError: the checkpoint or the scans cannot be had.
    """
    return open_scans_as(_card(config), config.data)


def open_scans_as(card: Card | None, data: Mapping[str, Any]) -> ScanSet:
    """The scans as an encoder of this card wants them; what the user asks for otherwise is said.

    Args:
        card: of the encoder; None: as `data` says.
        data: the `data` node of a configuration.

    Raises:
        UserError: the scans cannot be had.
    """
    scans = open_scans(data, **_wanted_by(card))
    if card is not None:
        _say_differences(card, scans)
    return scans


def find_scans_for(config: DictConfig) -> FoundScans:
    """The same scans, not decoded yet.

    Args:
        config: as for `open_encoder_and_scans`.

    Raises:
        UserError: the checkpoint or the scans cannot be had.
    """
    return find_scans(config.data, **_wanted_by(_card(config)))


def _card(config: DictConfig) -> Card | None:
    """The card of the encoder that `checkpoint` names, which is said; None where it has none."""
    choice = config.checkpoint
    if choice is None:
        raise UserError("checkpoint= is empty; give a pretrain run's directory, default, none (random) or imagenet")
    if config.encoder_file is not None and choice != "imagenet":
        raise UserError("encoder_file= is read with checkpoint=imagenet only; add that, or take encoder_file away")
    if choice in NO_WEIGHTS:
        return None
    card = card_of(choice)
    ships = ", which ships with ssl-robust" if choice == DEFAULT else ""
    print(f"Encoder: {name_of(choice)}{ships}: {card.in_words()}", flush=True)
    return card


def _wanted_by(card: Card | None) -> dict[str, Any]:
    """What an encoder asks of its scans."""
    if card is None:
        return {}
    return {"image_size": card.input_size, "channels": card.in_chans, "resize": card.resize, "window": card.window}


def _say_differences(card: Card, scans: ScanSet) -> None:
    """What the user has asked for and the encoder has not learned from."""
    window = scans.manifest.window if isinstance(scans.manifest.window, str) else list(scans.manifest.window)
    for option, learned, here in (("resize", card.resize, scans.resize), ("window", card.window, window)):
        if learned != here:
            print(f"Note: the encoder learned from scans with data.{option}={learned}, these have {here}; "
                  f"data.{option}=auto takes what it learned from", file=sys.stderr)  # fmt: skip


def _new_encoder(config: DictConfig, scans: ScanSet) -> Encoder:
    mean = std = None
    pretrained = config.checkpoint == "imagenet"
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
