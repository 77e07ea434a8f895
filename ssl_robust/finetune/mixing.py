"""Convex combinations of samples and of their targets."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def mix(
    images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Mix each sample of a batch with another one (mixup, Zhang et al. 2018, arXiv 1710.09412, eq. 1 and figure 1).

    Args:
        images: (B, …) float, scans or features.
        targets: (B, K) probabilities of the classes.
        alpha: of Beta(alpha, alpha), which one weight for the whole batch is drawn from; 0 = nothing is mixed.
        generator: on the CPU; None: torch's own, which the loop seeds in every step.

    Returns:
        Images and targets of the same shapes; sample i is lambda times sample i plus 1 - lambda times its partner.
    """
    if not alpha:
        return images, targets
    # torch draws from Beta without a generator only; its permutation is made on the CPU, so that devices agree.
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    weight = float(rng.beta(alpha, alpha))
    partner = torch.randperm(len(images), generator=generator).to(images.device)
    return weight * images + (1 - weight) * images[partner], weight * targets + (1 - weight) * targets[partner]
