"""What the models are fed: views of the scans, or features of a frozen encoder that were computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.views import Views
from ssl_robust.encoders.embeddings import encode_rows
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.finetune.classifier import Classifier


class Inputs(Protocol):
    """Rows of the manifest -> what a model takes, on the device that trains."""

    def plain(self, rows: np.ndarray) -> Tensor:
        """(B, …) without augmentation."""
        ...

    def views(self, rows: np.ndarray, n_views: int, generator: torch.Generator) -> Tensor:
        """(n_views, B, …) with augmentation."""
        ...


class ScanInputs:
    """Scans, with random views for training.

    Args:
        scans: where the pixels are.
        make_views: number of views -> what makes them.
        device: where the models are.
    """

    def __init__(self, scans: ScanSet, make_views: Callable[[int], Views], device: torch.device) -> None:
        self.scans, self.device = scans, device
        self._no_labels = np.full(len(scans), -1)
        self._make_views = cache(make_views)

    def plain(self, rows: np.ndarray) -> Tensor:
        """(B, C, S, S) as stored."""
        return self.scans.batch(rows, self._no_labels).images.to(self.device, non_blocking=True)

    @torch.no_grad()
    def views(self, rows: np.ndarray, n_views: int, generator: torch.Generator) -> Tensor:
        """(n_views, B, C, S, S) float32 in [0, 1]."""
        made = self._make_views(n_views)(self.plain(rows), generator)
        return made[0][None] if n_views == 1 else torch.stack(made)


class FeatureInputs:
    """Features of a frozen encoder, standardised by the training rows; every view is the same.

    Args:
        vectors: (N, D) features of every row of the manifest.
        train: (n,) training rows.
        device: where the heads are.
    """

    def __init__(self, vectors: Tensor, train: np.ndarray, device: torch.device) -> None:
        reference = vectors[torch.from_numpy(train)]
        self.mean = reference.mean(dim=0)
        spread = reference.std(dim=0, correction=0)
        # A feature that hardly varies in training must not drown the others when it does so elsewhere.
        self.std = spread.clamp(min=max(0.01 * float(spread.mean()), 1e-6))
        self.vectors = ((vectors - self.mean) / self.std).to(device)

    def plain(self, rows: np.ndarray) -> Tensor:
        """(B, D)."""
        return self.vectors[torch.from_numpy(rows)]

    def views(self, rows: np.ndarray, n_views: int, generator: torch.Generator) -> Tensor:
        """(n_views, B, D)."""
        return self.plain(rows).expand(n_views, -1, -1)

    def raw(self, rows: np.ndarray) -> np.ndarray:
        """(B, D) as the encoder gave them, on the CPU."""
        return (self.plain(rows).cpu() * self.std + self.mean).numpy()

    def whole(self, model: Classifier, encoder: Encoder) -> Classifier:
        """A head on standardised features -> encoder and head that give the same logits from scans."""
        result = Classifier(encoder, encoder.dim, model.head.out_features)
        weight = model.head.weight.detach().cpu() / self.std
        result.head.load_state_dict({"weight": weight, "bias": model.head.bias.detach().cpu() - weight @ self.mean})
        return result


def frozen_features(encoder: Encoder, scans: ScanSet, *, batch_size: int, device: torch.device, show: bool) -> Tensor:
    """(N, D) float32 features of all scans, on the CPU.

    Args:
        encoder: a copy of it computes, with its `autocast`.
        scans: the scans.
        batch_size: scans per forward pass.
        device: where to compute.
        show: progress on the screen.
    """
    what = "features, batches" if show else None
    rows = np.arange(len(scans))
    return torch.from_numpy(
        encode_rows(copy.deepcopy(encoder), scans, rows, batch_size=batch_size, device=device, what=what)
    )
