"""The optimiser of a method, and its rates as a pure function of the progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from ssl_robust.pretrain.method import Method
from ssl_robust.records import Progress
from ssl_robust.training.optimizers import make_optimizer, rate_factor


def build_optimizer(method: Method, settings: Mapping[str, Any], *, scans_per_step: int) -> Optimizer:
    """The optimiser of a method's trainable parameters.

    Args:
        method: whose `parameter_groups` are followed.
        settings: the `optim` node of the configuration.
        scans_per_step: the rate is scaled linearly with it.
    """
    groups = method.parameter_groups() or [{"params": list(method.parameters())}]
    return make_optimizer(groups, settings, scans_per_step=scans_per_step)


def set_rates(optimizer: Optimizer, method: Method, progress: Progress, *, warmup: float) -> float:
    """Set learning rates and the method's own schedules for the step that follows; returns the learning rate."""
    factor = rate_factor(progress, warmup=warmup)
    schedules = method.schedules()
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * (1.0 if group.get("fixed_lr") else factor)
        for name, value in schedules.items():
            if name != "weight_decay" or group["decayed"]:
                group[name] = value(progress)
    return max(group["base_lr"] for group in optimizer.param_groups) * factor
