"""An encoder on disk: `encoder.safetensors` in timm's own key names, and its card `encoder.json`.

The weights need nothing of this project:
`timm.create_model(name, num_classes=0, in_chans=C, checkpoint_path="…/encoder.safetensors", **card["model_args"])`.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ssl_robust import __version__
from ssl_robust.encoders.card import Card, read_card, write_card
from ssl_robust.encoders.encoder import Encoder, create_like
from ssl_robust.run import UserError, read_json, replacing

WEIGHTS = "encoder.safetensors"
SCALING = "uint8 / 255, uint16 / 65535; then (value - mean) / std per channel"


def describe(
    encoder: Encoder,
    *,
    resize: str,
    method: str,
    epochs: int,
    n_scans: int,
    data_fingerprint: str,
    data_licence: str,
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
    )


def save_encoder(encoder: Encoder, directory: str | Path, *, card: Card) -> None:
    """Write weights and card into `directory`, each file whole or not at all."""
    # safetensors wants plain contiguous tensors; training keeps convolutions channels-last.
    weights = {key: value.detach().cpu().contiguous() for key, value in encoder.timm.state_dict().items()}
    with replacing(Path(directory) / WEIGHTS) as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    write_card(card, directory)


def load_encoder(path_or_name: str | Path, *, in_chans: int | None = None) -> Encoder:
    """A run directory, or a directory with a card and weights -> its encoder.

    Args:
        path_or_name: `runs/ssl` or `…/encoder.safetensors`; the name of a folder under `checkpoints/`, once one ships.
        in_chans: channels of the scans that it will see; checked against the card where given.

    Returns:
        The encoder in evaluation mode, on the CPU; `.card` says how scans must be prepared.

    Raises:
        UserError: nothing is there, the card or the weights are broken or do not fit, or the channels differ.
    """
    directory = find_checkpoint(path_or_name)
    card = read_card(directory)
    if in_chans is not None and in_chans != card.in_chans:
        kinds = {1: "grey scans (1 channel)", 3: "RGB scans (3 channels)"}
        raise UserError(
            f"checkpoint={path_or_name} takes {kinds.get(card.in_chans, f'{card.in_chans} channels')}, the scans have "
            f"{in_chans}; set data.channels={card.in_chans}"
        )
    encoder = create_like(card)
    _load_weights(encoder, directory / WEIGHTS)
    encoder.card = card
    return encoder.eval()


def find_checkpoint(path_or_name: str | Path) -> Path:
    """The directory that holds `encoder.safetensors`.

    Raises:
        UserError: there is none; the message says what is there instead or which names are near.
    """
    path = Path(path_or_name)
    if path.name == WEIGHTS and path.is_file():
        return path.parent
    if path.is_dir():
        if (path / WEIGHTS).is_file():
            return path
        stage = read_json(path / "run.json").get("stage") if (path / "run.json").is_file() else None
        what = f"holds a run of the stage {stage} and no encoder" if stage else f"holds no {WEIGHTS}"
        raise UserError(f"checkpoint={path} {what}; give the `out` of a finished pretrain run")
    if path.is_file():
        raise UserError(f"checkpoint={path} is a file; give the directory of the run, checkpoint={path.parent}")
    shipped = shipped_checkpoints()
    if path.is_absolute() or len(path.parts) != 1 or str(path) not in shipped:
        near = difflib.get_close_matches(str(path), [*shipped, "none", "imagenet"], n=1)
        hint = f"did you mean {near[0]}?" if near else "give a pretrain run's directory, none or imagenet"
        raise UserError(f"checkpoint={path} does not exist; {hint}")
    return shipped[str(path)]


def shipped_checkpoints() -> dict[str, Path]:
    """Names and directories of the encoders that ship with the package."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "checkpoints"
    root = installed if installed.is_dir() else package.parent / "checkpoints"
    return {file.parent.name: file.parent for file in sorted(root.glob(f"*/{WEIGHTS}"))}


def _load_weights(encoder: Encoder, path: Path) -> None:
    try:
        weights: dict[str, Any] = load_file(path)
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
    encoder.timm.load_state_dict(weights)
