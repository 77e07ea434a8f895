"""Teachers that follow their student by an exponential moving average."""

from __future__ import annotations

import copy
from typing import TypeVar

from lightly.utils.scheduler import cosine_schedule
from torch import nn

from ssl_robust.records import Progress

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """A copy that takes no gradients."""
    return copy.deepcopy(module).requires_grad_(False)


def rising_momentum(progress: Progress, start: float) -> float:
    """Momentum that rises from `start` to 1 over the run, half a cosine (BYOL, arXiv 2006.07733, section 3.2)."""
    return cosine_schedule(progress.step, progress.total_steps, start, 1.0)
