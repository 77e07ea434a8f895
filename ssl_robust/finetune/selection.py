"""Which samples of a batch are trained on: those of small loss, and those whose gradients have settled."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ssl_robust.finetune.strategy import Evaluation
from ssl_robust.noise.dynamics import LAST_EPOCHS, GradientSpread, last_layer_gradients

_ROWS = 1024  # samples whose gradients are unfolded at once


def forget_rate(rate: float, epoch: int, warmup: int) -> float:
    """Share of a batch that is left out: rises linearly from 0 to `rate` over the warm-up.

    Han et al. 2018, arXiv 1804.06872, algorithm 1: R(T) = 1 - min(T / T_k tau, tau), counting from T = 0.

    Args:
        rate: tau.
        epoch: T, from 0.
        warmup: T_k, epochs.
    """
    return rate * min(epoch / warmup, 1.0) if warmup else rate


def small_loss(losses: Tensor, forget: float) -> Tensor:
    """Positions of the floor((1 - forget) B) smallest losses, smallest first; at least one.

    Args:
        losses: (B,).
        forget: share to leave out.
    """
    return losses.argsort(stable=True)[: max(1, _floor((1 - forget) * len(losses)))]


def small_loss_and_variance(losses: Tensor, variance: Tensor, forget: float, *, variance_share: float) -> Tensor:
    """Positions of the smallest losses, and of the samples among the rest whose gradients vary least.

    Of m = floor((1 - forget) B), floor((1 - s) m) are chosen by loss and floor(s m) by variance (Khanal et al. 2024,
    arXiv 2407.05973, s = 0.2): a rare class has large losses for long, yet settled gradients, they found.

    Args:
        losses: (B,).
        variance: (B,) of the gradients.
        forget: share to leave out; 0 keeps all, though the two roundings would lose one.
        variance_share: s.
    """
    if not forget:
        return small_loss(losses, 0.0)
    kept = _floor((1 - forget) * len(losses))
    n_small = max(1, _floor((1 - variance_share) * kept))
    order = losses.argsort(stable=True)
    small, rest = order[:n_small], order[n_small:]
    settled = rest[variance[rest].argsort(stable=True)]
    return torch.cat([small, settled[: _floor(variance_share * kept)]])


class GradientWindow(nn.Module):
    """Gradients of all samples over the last five epochs, however long the run: a window that slides.

    The gradient of the given label's row is (p - 1) [features, 1], so features and p are kept and unfolded by
    `noise.dynamics`. Memory and `last.ckpt`: 10 bytes per sample and feature (float16: 51 MB for 10,000 samples of 512
    features), p in float32, for what does not move must show no variance from rounding.

    Args:
        n_samples: N.
        dim: D.
    """

    features: Tensor
    own: Tensor
    n_epochs: Tensor

    def __init__(self, n_samples: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("features", torch.zeros(LAST_EPOCHS, n_samples, dim, dtype=torch.float16))
        self.register_buffer("own", torch.zeros(LAST_EPOCHS, n_samples))
        self.register_buffer("n_epochs", torch.zeros((), dtype=torch.long))

    def add(self, evaluation: Evaluation, labels: Tensor) -> None:
        """Take in the epoch that has just ended, in place of the sixth last.

        Args:
            evaluation: of all N samples.
            labels: (N,) as given.
        """
        slot = int(self.n_epochs) % LAST_EPOCHS
        largest = torch.finfo(torch.float16).max
        self.features[slot] = evaluation.features.clamp(-largest, largest)
        self.own[slot] = evaluation.logits.softmax(dim=1)[torch.arange(len(labels)), labels]
        self.n_epochs += 1

    def variance(self) -> Tensor | None:
        """(N,) float32, mean over entries of the deviation over epochs; None before two epochs are known."""
        n_epochs = min(int(self.n_epochs), LAST_EPOCHS)
        if n_epochs < 2:
            return None
        parts = [self._variance(slice(start, start + _ROWS), n_epochs) for start in range(0, self.own.shape[1], _ROWS)]
        return torch.from_numpy(np.concatenate(parts)).to(self.own.device)

    def _variance(self, rows: slice, n_epochs: int) -> np.ndarray:
        features, own = self.features[:n_epochs, rows].cpu().float().numpy(), self.own[:n_epochs, rows].cpu().numpy()
        spread = GradientSpread.empty(own.shape[1], features.shape[2] + 1)
        for each, p in zip(features, own, strict=True):
            spread.start_epoch()
            spread.add(slice(None), last_layer_gradients(each, p))
        return spread.variance()


def _floor(value: float) -> int:
    """0.7 * 10 is 6.999… in floating point, and 7 in the formula."""
    return math.floor(value + 1e-9)
