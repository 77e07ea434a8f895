"""The weights under torchvision's key names, for architectures that both libraries build alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ssl_robust.encoders.card import Card
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.exports import readme
from ssl_robust.run import UserError

# Same name in both libraries, same layers, and in these families the same keys.
SAME = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
        "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2", "densenet121", "densenet161", "densenet169",
        "densenet201")  # fmt: skip
FILE = "model.safetensors"
_LEAST_SIDE = 96  # px; at 32 the last layer is a single pixel, which looks the same however it is pooled


def write(encoder: Encoder, directory: Path, card: Card, title: str) -> None:
    """Write weights and README; what torchvision computes with them is compared first.

    torchvision's models take three channels. A grey encoder is given to them three times, with a third of its first
    layer's weights for each, which is the same sum.

    Args:
        encoder: in evaluation mode, on the CPU.
        directory: of the export.
        card: its card.
        title: its name.

    Raises:
        UserError: torchvision has no such model.
    """
    name = card.architecture.partition(".")[0]
    if name not in SAME:
        raise UserError(
            f"torchvision has no model with the layers of timm's {card.architecture}; format=torchvision is for "
            f"{', '.join(SAME)}; take format=timm, onnx or huggingface for this one"
        )
    weights = {key: value.contiguous() for key, value in encoder.timm.state_dict().items()}
    if encoder.in_chans == 1:
        first = next(iter(weights))  # the convolution that sees the scan
        weights[first] = weights[first].repeat(1, 3, 1, 1) / 3
    _compare(encoder, _build(name, weights))
    save_file(weights, directory / FILE, metadata={"format": "pt"})
    channels = "  # grey scans: repeat their channel three times" if encoder.in_chans == 1 else ""
    wide = card if encoder.in_chans == 3 else _three_times(card)
    snippet = f"""\
import torch, torchvision
from safetensors.torch import load_file

model = torchvision.models.{name}()
model.{_head(name)} = torch.nn.Identity()
model.load_state_dict(load_file("{FILE}"))
model.eval(){channels}
{readme.embedding(wide)}"""
    readme.write(directory, title, wide, snippet)


def _three_times(card: Card) -> Card:
    return replace(card, in_chans=3, mean=card.mean * 3, std=card.std * 3)


def _head(name: str) -> str:
    return "classifier" if name.startswith("densenet") else "fc"


def _build(name: str, weights: dict[str, Tensor]) -> nn.Module:
    import torchvision

    model = getattr(torchvision.models, name)()
    setattr(model, _head(name), nn.Identity())
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"torchvision's {name} is built otherwise ({str(error).splitlines()[0]}); use format=timm"
        ) from None
    return model.eval()


@torch.inference_mode()
def _compare(encoder: Encoder, model: nn.Module) -> None:
    """Options such as another pooling leave no trace in the keys, so the features are looked at."""
    side = max(encoder.input_size, _LEAST_SIDE)
    images = torch.rand(2, encoder.in_chans, side, side, generator=torch.Generator().manual_seed(0))
    wide = ((images - encoder.mean_buffer) / encoder.std_buffer).expand(-1, 3, -1, -1)
    if not torch.allclose(model(wide), encoder(images), rtol=1e-3, atol=1e-4):
        raise UserError(f"torchvision's {encoder.name} computes something else than this one; use format=timm")
