"""Batch normalisation over the scans of all processes, so that their number does not change what is learned."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronize(module: nn.Module, device: torch.device) -> nn.Module:
    """Let every batch normalisation in `module` take its means and variances over all processes.

    Names and values of parameters and buffers stay as they are.

    Args:
        module: changed in place, but for a module that is a batch normalisation itself.
        device: where it will run. torch's SyncBatchNorm refuses a CPU; `AllReducedBatchNorm` stands in there.

    Returns:
        The module, or what takes its place.
    """
    if device.type == "cuda":
        from timm.layers import convert_sync_batchnorm

        return convert_sync_batchnorm(module)
    if isinstance(module, _BatchNorm):
        return AllReducedBatchNorm(module)
    for name, child in module.named_children():
        setattr(module, name, synchronize(child, device))
    return module


class AllReducedBatchNorm(_BatchNorm):
    """Batch normalisation whose statistics are sums over all processes, each with equally many values.

    Args:
        like: the module whose place it takes; timm's also hold an activation.
    """

    def __init__(self, like: _BatchNorm) -> None:
        super().__init__(like.num_features, like.eps, like.momentum, like.affine, like.track_running_stats)
        self.weight, self.bias = like.weight, like.bias
        self.running_mean, self.running_var = like.running_mean, like.running_var
        self.num_batches_tracked = like.num_batches_tracked
        self.drop, self.act = getattr(like, "drop", nn.Identity()), getattr(like, "act", nn.Identity())
        self.train(like.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any (N, C) or (N, C, …) will do."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised values of the same shape and type."""
        return self.act(self.drop(self._normalize(input) if self.training else super().forward(input)))

    def _normalize(self, input: Tensor) -> Tensor:
        values = input.float()
        dims = [0, *range(2, input.ndim)]
        shape = (1, -1, *(1 for _ in dims[1:]))
        n = values.numel() // values.shape[1] * torch.distributed.get_world_size()
        mean = _summed(values.sum(dims)) / n
        centered = values - mean.view(shape)
        variance = _summed(centered.square().sum(dims)) / n
        self._follow(mean.detach(), variance.detach() * (n / max(1, n - 1)))
        scaled = centered * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """The running statistics."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Sum(torch.autograd.Function):
    """Sum over all processes; so is its gradient, as every process' loss depends on every process' values."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        total = gradient.clone()
        torch.distributed.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    return _Sum.apply(values)  # type: ignore[return-value]
