"""A composed `optim` node -> an optimiser, its rate as a pure function of the progress, and the seed of a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch.optim import Optimizer

from ssl_robust.records import Progress
from ssl_robust.targets import resolve

_REFERENCE_BATCH = 256


def make_optimizer(
    groups: Iterable[Mapping[str, Any]], settings: Mapping[str, Any], *, scans_per_step: int
) -> Optimizer:
    """Parameter groups -> an optimiser; biases and normalisation are not decayed.

    Args:
        groups: each with `params`, perhaps `lr_scale`, a factor on the rate, and settings of the optimiser.
        settings: `_target_`, `lr` for 256 scans per step, `warmup`, and the optimiser's own arguments.
        scans_per_step: the rate is scaled linearly with it (Goyal et al. 2017, arXiv 1706.02677).

    Returns:
        An optimiser whose groups also hold `base_lr`, the rate at its height, and `decayed`.
    """
    arguments = {name: value for name, value in settings.items() if name not in ("_target_", "lr", "warmup")}
    rate = settings["lr"] * scans_per_step / _REFERENCE_BATCH
    divided = []
    for group in groups:
        rest = {name: value for name, value in group.items() if name not in ("params", "lr_scale")}
        trainable = [parameter for parameter in group["params"] if parameter.requires_grad]
        for decayed in (True, False):
            chosen = [parameter for parameter in trainable if (parameter.ndim > 1) == decayed]
            extra = {} if decayed else {"weight_decay": 0.0}
            base = rate * group.get("lr_scale", 1.0)
            if chosen:
                divided.append({**rest, **extra, "params": chosen, "lr": base, "base_lr": base, "decayed": decayed})
    return resolve("optim", settings)(divided, lr=rate, **arguments)


def rate_factor(progress: Progress, *, warmup: float) -> float:
    """Linear rise over the first `warmup` share of the steps, then half a cosine to zero; in [0, 1]."""
    rising = round(warmup * progress.total_steps)
    if progress.step < rising:
        return (progress.step + 1) / rising
    done = (progress.step - rising) / max(1, progress.total_steps - rising)
    return 0.5 * (1 + math.cos(math.pi * done))


def mixed_seed(*key: int) -> int:
    """A well-mixed 63-bit seed for a key such as (seed, step, rank): neighbouring keys give unrelated streams."""
    # NumPy pads a key with zeros, so that (3, 1) and (3, 1, 0) would be one; the length in front tells them apart.
    return int(np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)[0] >> 1)
