"""A composed `optim` node -> an optimiser, and its rates as a pure function of the progress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class
from torch.optim import Optimizer

from ssl_robust.pretrain.method import Method
from ssl_robust.records import Progress

_REFERENCE_BATCH = 256


def build_optimizer(method: Method, settings: Mapping[str, Any], *, scans_per_step: int) -> Optimizer:
    """The optimiser of a method's trainable parameters; biases and normalisation are not decayed.

    Args:
        method: whose `parameter_groups` are followed.
        settings: `_target_`, `lr` for 256 scans per step, `warmup`, and the optimiser's own arguments.
        scans_per_step: the rate is scaled linearly with it (Goyal et al. 2017, arXiv 1706.02677).

    Returns:
        An optimiser whose groups also hold `base_lr`, `fixed_lr` and `decayed`.
    """
    arguments = {name: value for name, value in settings.items() if name not in ("_target_", "lr", "warmup")}
    rate = settings["lr"] * scans_per_step / _REFERENCE_BATCH
    groups = []
    for group in method.parameter_groups() or [{"params": list(method.parameters())}]:
        trainable = [parameter for parameter in group["params"] if parameter.requires_grad]
        for decayed in (True, False):
            chosen = [parameter for parameter in trainable if (parameter.ndim > 1) == decayed]
            extra = {} if decayed else {"weight_decay": 0.0}
            if chosen:
                groups.append({**group, **extra, "params": chosen, "base_lr": rate, "decayed": decayed})
    return get_class(settings["_target_"])(groups, lr=rate, **arguments)


def set_rates(optimizer: Optimizer, method: Method, progress: Progress, *, warmup: float) -> float:
    """Set learning rates and the method's own schedules for the step that follows; returns the learning rate."""
    factor = rate_factor(progress, warmup=warmup)
    rate = 0.0
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * (1.0 if group.get("fixed_lr") else factor)
        rate = max(rate, group["base_lr"] * factor)
        for name, value in method.schedules().items():
            if name != "weight_decay" or group["decayed"]:
                group[name] = value(progress)
    return rate


def rate_factor(progress: Progress, *, warmup: float) -> float:
    """Linear rise over the first `warmup` share of the steps, then half a cosine to zero; in [0, 1]."""
    rising = round(warmup * progress.total_steps)
    if progress.step < rising:
        return (progress.step + 1) / rising
    done = (progress.step - rising) / max(1, progress.total_steps - rising)
    return 0.5 * (1 + math.cos(math.pi * done))
