"""The contract of a self-supervised method: heads and a loss around an encoder, nothing else.

The loop owns optimiser, rates, precision, device, logging and checkpoints. A new method is one file under `methods/`
and one YAML under `configs/method/`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.records import Crop, Progress
from ssl_robust.targets import resolve

_NOT_ITS_OWN = ("_target_", "family", "crops", "views")  # of a YAML: what is not a hyperparameter of the class


class Method(nn.Module, ABC):
    """Views of a batch of scans -> a loss.

    Everything that a resumed run needs must be a parameter or a persistent buffer.

    Args:
        encoder: what is pretrained; it returns float32, so heads and losses are exact under any precision.
        crops: the views that `loss` expects, in this order.
    """

    def __init__(self, encoder: Encoder, *, crops: Sequence[Crop]) -> None:
        super().__init__()
        self.encoder = encoder
        self.crops = tuple(crops)

    @property
    def n_views(self) -> int:
        """How many views of each scan `loss` expects; follows from the crops."""
        return sum(crop.n for crop in self.crops)

    @abstractmethod
    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """One training step's loss.

        Args:
            views: `n_views` tensors (B, C, H, W) in [0, 1], in the order of the crops.
            progress: where training stands.

        Returns:
            At least "loss", a scalar to minimise; other scalars are columns of metrics.csv, too.
        """

    def parameter_groups(self) -> list[dict[str, Any]] | None:
        """Optimiser groups, e.g. `{"params": […], "fixed_lr": True}` for a constant rate; None: one group of all."""
        return None

    def schedules(self) -> dict[str, Callable[[Progress], float]]:
        """Optimiser settings that follow the progress, by their name in the optimiser, e.g. "weight_decay"."""
        return {}

    # Two hooks that most methods do not need: the bodies are empty on purpose.
    def after_backward(self, progress: Progress) -> None:
        """Called with all gradients in place, before the optimiser steps."""

    def after_step(self, progress: Progress) -> None:
        """Called after each optimiser step; `progress` counts that step."""


def build_method(settings: Mapping[str, Any], encoder: Encoder) -> Method:
    """A `method` node of the configuration -> the method around `encoder`.

    Args:
        settings: `_target_`, `family`, `crops`, perhaps `views`, and the method's hyperparameters.
        encoder: what is to be pretrained.
    """
    values = {name: value for name, value in settings.items() if name not in _NOT_ITS_OWN}
    return resolve("method", settings)(encoder, crops=[Crop.read(crop) for crop in settings["crops"]], **values)


def fitting_views(settings: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of the views, with what a method says under `views` in place of the recipe's values.

    A pretext whose target a transform would destroy switches it off: a free rotation hides by which angle a scan was
    turned.

    Args:
        settings: the `method` node of the configuration.
        recipe: the `views` node.
    """
    own = settings.get("views", {})
    return {
        name: {**value, **own.get(name, {})} if isinstance(value, Mapping) else own.get(name, value)
        for name, value in recipe.items()
    }


def own_rows(draw: Callable[[int], Tensor], n: int) -> Tensor:
    """Random numbers for the scans of this process: all draw those of the whole batch, alike, and take their part.

    So a batch that several processes share has the random numbers that one process would give it.

    Args:
        draw: a number of scans -> as many rows, from torch's global generator, e.g. `torch.rand`.
        n: scans of this process.

    Returns:
        (n, …), the rows that belong to them.
    """
    if not torch.distributed.is_initialized():
        return draw(n)
    first = n * torch.distributed.get_rank()
    return draw(n * torch.distributed.get_world_size())[first : first + n]


def encode_together(encoder: nn.Module, views: Sequence[Tensor]) -> list[Tensor]:
    """Features of each view, with one forward pass for all consecutive views of one size.

    Batch normalisation then sees these views as one batch, as in the papers' code of SimCLR, SwAV and DINO.

    Args:
        encoder: (N, C, H, W) -> (N, D).
        views: tensors (B, C, H, W).

    Returns:
        One (B, D) tensor per view, in order.
    """
    features: list[Tensor] = []
    start = 0
    while start < len(views):
        stop = start + 1
        while stop < len(views) and views[stop].shape == views[start].shape:
            stop += 1
        features += encoder(torch.cat(list(views[start:stop]))).chunk(stop - start)
        start = stop
    return features
