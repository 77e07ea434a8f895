"""An encoder on disk: `encoder.safetensors` in timm's own key names, and its card `encoder.json`.

The weights need nothing of this project:
`timm.create_model(name, num_classes=0, in_chans=C, checkpoint_path="…/encoder.safetensors", **card["model_args"])`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ssl_robust import __version__
from ssl_robust.encoders.card import Card, write_card
from ssl_robust.encoders.encoder import Encoder, create_encoder, create_like
from ssl_robust.encoders.hub_format import HUB_WEIGHTS, SCALING
from ssl_robust.encoders.places import WEIGHTS, card_of, find_checkpoint, is_foreign
from ssl_robust.run import UserError, replacing


def describe(
    encoder: Encoder,
    *,
    resize: str,
    method: str,
    epochs: int,
    n_scans: int,
    data_fingerprint: str,
    data_licence: str,
    starts_from: str = "",
    window: str | Sequence[float] = "auto",
) -> Card:
    """The card of an encoder: what it is comes from itself, where it comes from is given.

    Args:
        encoder: the encoder.
        resize: how scans reached its input size, pad or squash.
        method: the self-supervised method.
        epochs: epochs of pretraining.
        n_scans: scans it was pretrained on.
        data_fingerprint: hash of the set that they are from.
        data_licence: their licence, "" where unknown.
        starts_from: what its training began with, in words; "" for new weights.
        window: which stored values became black and white.
    """
    return Card(
        architecture=encoder.name,
        in_chans=encoder.in_chans,
        input_size=encoder.input_size,
        mean=encoder.mean,
        std=encoder.std,
        model_args=encoder.model_args,
        scaling=SCALING,
        resize=resize,
        method=method,
        epochs=epochs,
        n_scans=n_scans,
        data_fingerprint=data_fingerprint,
        data_licence=data_licence,
        version=__version__,
        starts_from=starts_from,
        window=window if isinstance(window, str) else list(window),
    )


def save_encoder(encoder: Encoder, directory: str | Path, *, card: Card) -> None:
    """Write weights, in the type that the card says, and card into `directory`, each file whole or not at all.

    Raises:
        UserError: a weight is too large for float16.
    """
    with replacing(Path(directory) / WEIGHTS) as temporary:
        save_file(stored_weights(encoder, card.weights_dtype), temporary, metadata={"format": "pt"})
    write_card(card, directory)


def stored_weights(encoder: Encoder, dtype: str) -> dict[str, torch.Tensor]:
    """The state dict of the timm model as it is stored.

    Half precision is for kernels and matrices, nearly all of the bytes. Biases, norms and running statistics stay
    float32: a variance may be smaller or larger than what float16 can hold.

    Args:
        encoder: whose weights.
        dtype: float32 or float16.

    Raises:
        UserError: a weight is too large for float16.
    """
    # safetensors wants plain contiguous tensors; training keeps convolutions channels-last.
    weights = {key: value.detach().cpu().contiguous() for key, value in encoder.timm.state_dict().items()}
    if dtype == "float32":
        return weights
    halved = {key: value.half() for key, value in weights.items() if value.is_floating_point() and value.ndim >= 2}
    for key, value in halved.items():
        if not torch.isfinite(value).all():
            raise UserError(f"{key} holds values that float16 cannot (beyond 65504); store this encoder as float32")
    return {**weights, **halved}


def load_encoder(path_or_name: str | Path, *, in_chans: int | None = None) -> Encoder:
    """A run directory, a shipped encoder or one from elsewhere -> the encoder, its weights as float32.

    Args:
        path_or_name: as for `find_checkpoint`: `runs/ssl`, `default`, a folder in timm's hub format, `hf-hub:ORG/NAME`.
        in_chans: channels of the scans that it will see; checked against the card where given.

    Returns:
        The encoder in evaluation mode, on the CPU; `.card` says how scans must be prepared.

    Raises:
        UserError: nothing is there, the card or the weights are broken or do not fit, or the channels differ.
    """
    directory = find_checkpoint(path_or_name)
    card = card_of(directory)
    if in_chans is not None and in_chans != card.in_chans:
        kinds = {1: "grey scans (1 channel)", 3: "RGB scans (3 channels)"}
        raise UserError(
            f"checkpoint={path_or_name} takes {kinds.get(card.in_chans, f'{card.in_chans} channels')}, the scans have "
            f"{in_chans}; set data.channels={card.in_chans}"
        )
    if is_foreign(directory):
        encoder = _load_foreign(directory / HUB_WEIGHTS, card)
    else:
        encoder = create_like(card)
        _load_weights(encoder, directory / WEIGHTS)
    _check_finite(encoder, directory)
    encoder.card, encoder.is_new = replace(card, model_args=encoder.model_args), False
    return encoder.eval()


def _check_finite(encoder: Encoder, directory: Path) -> None:
    for key, value in encoder.timm.state_dict().items():
        if not torch.isfinite(value).all():
            raise UserError(f"the weights in {directory} hold NaN or infinity ({key}); copy them again, or train anew")


def _load_foreign(weights: Path, card: Card) -> Encoder:
    """timm fits the weights itself: a classifier is left out, position embeddings are brought to the size."""
    return create_encoder(
        card.architecture,
        in_chans=card.in_chans,
        input_size=card.input_size,
        mean=card.mean,
        std=card.std,
        pretrained=weights,
        encoder_args=card.model_args,
    )


def _load_weights(encoder: Encoder, path: Path) -> None:
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}); copy it again") from None
    expected = encoder.timm.state_dict()
    differing = sorted(set(expected) ^ set(weights)) or sorted(
        key for key in expected if expected[key].shape != weights[key].shape
    )
    if differing:
        raise UserError(
            f"{path} does not fit its card's {encoder.name} ({len(differing)} tensors differ, first {differing[0]}); "
            "copy encoder.safetensors and encoder.json from the same run"
        )
    encoder.timm.load_state_dict(weights)  # into float32, whatever the file holds
