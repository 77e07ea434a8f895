"""Convex combinations of samples and of their targets."""

from __future__ import annotations

import torch
from torch import Tensor


def mix(
    images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Each sample is mixed with another one of the batch (Zhang et al. 2018, arXiv 1710.09412).

    One lambda ~ Beta(alpha, alpha) for the batch, and max(lambda, 1 - lambda) in its place (MixMatch, arXiv
    1905.02249): as a batch the mixtures are distributed alike, and row i stays nearest to sample i.

    Args:
        images: (B, …), also features.
        targets: (B, K) probabilities of the classes.
        alpha: 0: nothing is mixed.
        generator: of lambda and partners; None: torch's own.

    Returns:
        Images and targets of the same shapes.
    """
    if not alpha:
        return images, targets
    # Beta(a, a) by two gamma draws: torch's own sampler of Beta takes no generator.
    first, second = torch._standard_gamma(torch.full((2,), float(alpha), dtype=torch.float64), generator=generator)
    share = float(first / (first + second)) if float(first + second) else 1.0
    share = max(share, 1 - share)
    partners = torch.randperm(len(images), generator=generator).to(images.device)
    return share * images + (1 - share) * images[partners], share * targets + (1 - share) * targets[partners]
