"""Encoder + linear head, and the same on disk: `classifier.safetensors` with its card `classifier.json`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ssl_robust import __version__
from ssl_robust.encoders.card import Card, parse_card
from ssl_robust.encoders.encoder import Encoder, create_like
from ssl_robust.run import UserError, read_json, replacing, write_json
from ssl_robust.training.optimizers import mixed_seed

WEIGHTS, CARD = "classifier.safetensors", "classifier.json"


class Classifier(nn.Module):
    """Scans -> logits.

    Args:
        encoder: (B, C, S, S) -> (B, D) float32; `nn.Identity` where the inputs are features.
        dim: D.
        n_classes: K.
    """

    def __init__(self, encoder: nn.Module, dim: int, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(dim, n_classes)

    def features(self, images: Tensor) -> Tensor:
        """(B, D) float32 pooled features of scans."""
        return self.encoder(images)

    def forward(self, images: Tensor) -> Tensor:
        """(B, K) float32 logits of scans."""
        return self.head(self.encoder(images))


def head_maker(dim: int, *, n_classes: int, seed: int) -> Callable[[], Classifier]:
    """What a strategy calls for each of its networks where features are computed already.

    Args:
        dim: D of the features.
        n_classes: K.
        seed: of the heads.

    Returns:
        A function whose calls give heads of different draws.
    """
    made = count()

    def make() -> Classifier:
        torch.manual_seed(mixed_seed(seed, next(made)))
        return Classifier(nn.Identity(), dim, n_classes)

    return make


def model_maker(encoder: Encoder, *, frozen: bool, fresh: bool, n_classes: int, seed: int) -> Callable[[], Classifier]:
    """What a strategy calls for each of its networks.

    Args:
        encoder: copied for each of them, unless `fresh`.
        frozen: the classifiers take the encoder's features instead of scans.
        fresh: the encoder has random weights: each classifier after the first draws its own.
        n_classes: K.
        seed: of heads and fresh encoders.

    Returns:
        A function whose calls give classifiers with heads of different draws.
    """
    if frozen:
        return head_maker(encoder.dim, n_classes=n_classes, seed=seed)
    made = count()

    def make() -> Classifier:
        number = next(made)
        torch.manual_seed(mixed_seed(seed, number))
        own = _redrawn(encoder) if fresh and number else copy.deepcopy(encoder)
        return Classifier(own, encoder.dim, n_classes)

    return make


def save_classifier(
    models: Sequence[Classifier], directory: Path, *, card: Card, classes: Sequence[str], strategy: str
) -> None:
    """Write the models of a strategy and what is needed to use them, each file whole or not at all.

    Keys are `<model>.encoder.<timm's key>` and `<model>.head.{weight,bias}`, models counted from 0.

    Args:
        models: with an `Encoder` each.
        directory: the run directory.
        card: of the encoder before fine-tuning, with the size and the resizing of the scans that it is fine-tuned on.
        classes: names, in the order of the logits.
        strategy: name of the strategy; several models are averaged over their softmax.
    """
    weights = {}
    for number, model in enumerate(models):
        parts = {"encoder": model.encoder.timm, "head": model.head}
        for part, module in parts.items():
            for key, value in module.state_dict().items():  # type: ignore[union-attr]
                # Copied, because networks on frozen features share their encoder, which safetensors refuses to write.
                weights[f"{number}.{part}.{key}"] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    with replacing(directory / WEIGHTS) as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    facts = {"classes": list(classes), "n_models": len(models), "strategy": strategy, "version": __version__}
    write_json(directory / CARD, {**facts, "encoder": asdict(card)})


def load_classifier(directory: str | Path) -> tuple[list[Classifier], dict[str, Any]]:
    """A fine-tuning run -> its models in evaluation mode, on the CPU, and their card.

    Args:
        directory: the run directory.

    Raises:
        UserError: there is no classifier in it, it cannot be read, or its card lacks something.
    """
    directory = Path(directory)
    if not (directory / WEIGHTS).is_file():
        raise UserError(f"{directory} holds no {WEIGHTS}; give the `out` of a train or finetune run")
    values = read_json(directory / CARD)
    missing = {"encoder", "classes", "n_models"} - set(values)
    if missing:
        raise UserError(f"{directory / CARD} lacks {min(missing)}; copy the card of the run again")
    card = parse_card(values["encoder"], directory / CARD)
    try:
        weights = load_file(directory / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{directory / WEIGHTS} cannot be read ({error}); copy it again") from None
    models = []
    for number in range(values["n_models"]):
        encoder = create_like(card)
        encoder.card = card
        model = Classifier(encoder, encoder.dim, len(values["classes"]))
        for part, module in {"encoder": encoder.timm, "head": model.head}.items():
            prefix = f"{number}.{part}."
            module.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
        models.append(model.eval())
    return models, values


def _redrawn(encoder: Encoder) -> Encoder:
    """The same architecture with new weights from torch's generator."""
    result = create_like(encoder)
    result.autocast = encoder.autocast
    return result
