"""A model repository as timm writes and reads it: `model.safetensors`, `config.json`, and a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from ssl_robust.encoders.card import Card
from ssl_robust.encoders.checkpoint import stored_weights
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.hub_format import CONFIG, HUB_WEIGHTS
from ssl_robust.exports import readme
from ssl_robust.run import write_json


def write(encoder: Encoder, directory: Path, card: Card, title: str, *, license: str) -> None:
    """Write the repository's files.

    Args:
        encoder: the encoder.
        directory: of the export.
        card: its card, with the type in which weights are stored.
        title: its name.
        license: of the weights, as the hub writes it.
    """
    save_file(stored_weights(encoder, card.weights_dtype), directory / HUB_WEIGHTS, metadata={"format": "pt"})
    known: dict[str, Any] = encoder.timm.pretrained_cfg  # type: ignore[assignment]  # of the architecture
    size = [card.in_chans, card.input_size, card.input_size]
    write_json(
        directory / CONFIG,
        {
            "architecture": card.architecture.partition(".")[0],
            "num_classes": 0,
            "num_features": encoder.dim,
            "pretrained_cfg": {
                "input_size": size, "fixed_input_size": bool(known.get("fixed_input_size")), "interpolation": "bicubic",
                "crop_pct": 1.0, "crop_mode": "center", "mean": card.mean, "std": card.std, "num_classes": 0,
                "pool_size": None, "first_conv": known.get("first_conv"), "classifier": known.get("classifier"),
                "license": license,
            },
            "model_args": {**card.model_args, "in_chans": card.in_chans},
        },
    )  # fmt: skip
    readme.write(directory, title, card, _snippet(card), front_matter=_front_matter(license))


def _snippet(card: Card) -> str:
    return f"""\
import timm, torch

model = timm.create_model("local-dir:.", pretrained=True).eval()  # or "hf-hub:ORG/NAME", once it is there
{readme.embedding(card)}"""


def _front_matter(license: str) -> str:
    tags = ("timm", "image-feature-extraction", "self-supervised-learning", "medical-imaging")
    # A text in JSON's quotes is one in YAML's, whatever it holds.
    lines = [f"license: {json.dumps(license)}", "library_name: timm", "pipeline_tag: image-feature-extraction", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---", "", ""])
