"""`last.ckpt`: from it a killed run goes on as if nothing had happened, in the middle of an epoch too."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import nn
from torch.optim import Optimizer

from ssl_robust.run import replacing
from ssl_robust.training.state import read_state


@dataclass(frozen=True)
class Place:
    """Where training stands.

    Attributes:
        epoch: epochs done.
        batch: batches of the next epoch that are done, too.
        totals: sums over these batches of the loss and of what else the method tells.
        seconds: time that they took.
    """

    epoch: int = 0
    batch: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Checkpoints:
    """Writes and reads `last.ckpt`; all processes have the same weights, optimiser and queues, so the first one writes.

    Args:
        method: what is trained, set up by `fabric`.
        optimizer: likewise.
        fabric: the processes that train together.
        minutes: of training that may be lost.
    """

    def __init__(self, method: nn.Module, optimizer: Optimizer, fabric: Fabric, *, minutes: float) -> None:
        self.method, self.optimizer, self.fabric = method, optimizer, fabric
        self._seconds, self._saved = 60 * minutes, time.monotonic()

    def is_due(self) -> bool:
        """Whether the last one is old; in the first process alone, since clocks differ."""
        return self.fabric.is_global_zero and time.monotonic() - self._saved > self._seconds

    def save(self, out: Path, place: Place) -> None:
        """Write the state at `place` into the run directory `out`."""
        if self.fabric.is_global_zero:
            state = {"method": self.method.state_dict(), "optimizer": self.optimizer.state_dict()}
            with replacing(out / "last.ckpt") as temporary:
                torch.save({**asdict(place), **state}, temporary)
        self._saved = time.monotonic()

    def restore(self, out: Path) -> Place:
        """Take over the state in `out`, and say where it stands; at the start where there is none."""
        self._saved = time.monotonic()
        if not (out / "last.ckpt").exists():
            return Place()
        holds = {"method", "optimizer", *(each.name for each in fields(Place))}
        state = read_state(out / "last.ckpt", device=self.fabric.device, holds=holds)
        self.method.load_state_dict(state.pop("method"))
        self.optimizer.load_state_dict(state.pop("optimizer"))
        return Place(**{each.name: state[each.name] for each in fields(Place)})
