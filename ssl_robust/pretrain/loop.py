"""One loop for every self-supervised method: optimiser, rates, precision, randomness, metrics and checkpoints.

It stands on Lightning Fabric and not on Lightning's Trainer, since a run that was killed must continue bit by bit and
Ctrl-C must reach the command line: the Trainer's `fit` answers it with `exit(1)`, and its restart depends on the place
of the kill. Everything random follows from (seed, step, rank), so a checkpoint needs no generator states. With several
processes each has its part of every batch; gradients, losses and batch normalisation are those of the whole batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.logger import Logger
from torch import Tensor

from ssl_robust.data.batches import Batches
from ssl_robust.data.views import Views
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.checkpoints import Checkpoints, Place
from ssl_robust.pretrain.method import Method
from ssl_robust.pretrain.monitor import Monitor, is_due
from ssl_robust.pretrain.optimizers import build_optimizer, set_rates
from ssl_robust.pretrain.selection import Snapshots
from ssl_robust.records import Batch, Progress
from ssl_robust.run import UserError, append_row
from ssl_robust.training.batch_norm import synchronize
from ssl_robust.training.display import Display
from ssl_robust.training.optimizers import mixed_seed
from ssl_robust.training.resuming import forget_rows
from ssl_robust.training.world import check_same_everywhere, mean_of_all

# Column of metrics.csv -> what the line of an epoch shows of it.
_SHOWN = {
    "loss": "loss {:.4f}",
    "accuracy": "accuracy {:.2f}",
    "lr": "lr {:.2g}",
    "images_per_second": "{:.0f} images/s",
    "knn_balanced_accuracy": "kNN {:.3f}",
    "effective_rank": "rank {:.1f}",
    "feature_spread": "spread {:.2f}",
}
_CHECK_EVERY = 50  # steps between two looks at whether the loss is finite: each look waits for the device


class Loop:
    """Trains a method on batches of scans.

    Args:
        method: what is trained.
        views: makes the method's views.
        batches: scans in a reproducible order; every batch is full.
        monitor: looks at the encoder between epochs.
        optim: the `optim` node of the configuration.
        trainer: the `trainer` node.
        monitor_every: epochs between two looks, or "auto".
        snapshots: keeps encoders of these looks.
        seed: of everything random.
        fabric: the processes that train together, and where.
        precision: type in which encoders compute, float32 where None.
        loggers: what else gets the rows of metrics.csv.

    Raises:
        ValueError: `views` makes another number of views than the method expects.
    """

    def __init__(
        self,
        method: Method,
        *,
        views: Views,
        batches: Batches,
        monitor: Monitor,
        optim: Mapping[str, Any],
        trainer: Mapping[str, Any],
        monitor_every: int | str,
        snapshots: Snapshots | None = None,
        seed: int,
        fabric: Fabric,
        precision: torch.dtype | None,
        loggers: Sequence[Logger] = (),
    ) -> None:
        if views.n_views != method.n_views:
            raise ValueError(f"the method expects {method.n_views} views of each scan, {views.n_views} are made")
        for module in method.modules():
            if isinstance(module, Encoder):
                module.autocast = precision
        if fabric.world_size > 1:
            synchronize(method, fabric.device)
        self.fabric, self.loggers = fabric, loggers
        self.views, self.batches, self.monitor = views, batches, monitor
        self.seed, self.monitor_every, self.snapshots = seed, monitor_every, snapshots
        self.n_epochs, self.accumulate = trainer["max_epochs"], trainer["accumulate"]
        self.steps_per_epoch = math.ceil(len(batches) / self.accumulate)
        self.show = trainer["progress"]
        self.warmup = optim["warmup"]
        self.generator = torch.Generator(fabric.device)
        optimizer = build_optimizer(method, optim, scans_per_step=batches.batch_size * self.accumulate)
        self.method, self.optimizer = self.fabric.setup(method, optimizer)
        self.method.mark_forward_method("loss")
        minutes = trainer["checkpoint_minutes"]
        self.checkpoints = Checkpoints(self.method, self.optimizer, fabric, minutes=minutes)

    def fit(self, out: Path, *, resume: bool) -> None:
        """Train to the last epoch; `metrics.csv` and `last.ckpt` in `out` follow every epoch, the latter also between.

        Args:
            out: the run directory, the same for all processes; the first one writes.
            resume: continue from `last.ckpt` where there is one.

        Raises:
            UserError: the loss is no longer finite.
        """
        start = self.checkpoints.restore(out) if resume else Place()
        otherwise = f"the processes see different states in {out}; out= must be one folder that all machines share"
        check_same_everywhere(self.fabric, start, otherwise)
        if self.fabric.is_global_zero:
            forget_rows(out / "metrics.csv", after=start.epoch if start != Place() else -1)
        display = Display(
            first_epoch=start.epoch,
            n_epochs=self.n_epochs,
            scans_per_epoch=len(self.batches) * self.batches.batch_size,
            shown=_SHOWN,
            enabled=self.show and self.fabric.is_global_zero,
        )
        try:
            if start == Place():
                self._record(out, display, {"epoch": 0, "step": 0})
            for epoch in range(start.epoch, self.n_epochs):
                place = start if epoch == start.epoch else Place(epoch)
                self._record(out, display, self._epoch(place, out, display))
                self.checkpoints.save(out, Place(epoch + 1))
                if self.snapshots is not None and self.fabric.is_global_zero:
                    self.snapshots.drop(out)
        finally:
            display.close()

    def _epoch(self, start: Place, out: Path, display: Display) -> dict[str, Any]:
        """One pass over the scans, or the rest of one; its row of metrics.csv."""
        epoch, n_batches = start.epoch, len(self.batches)
        began = time.perf_counter() - start.seconds
        totals = {name: torch.tensor(value, device=self.fabric.device) for name, value in start.totals.items()}
        rate = 0.0
        self.method.train()
        self.batches.set_epoch(epoch, start.batch)
        for number, batch in enumerate(self.batches, start=start.batch):
            first = number - number % self.accumulate  # of the batches whose gradients are added up
            last = min(first + self.accumulate, n_batches) - 1
            progress = self._progress(epoch, number // self.accumulate)
            with self.fabric.no_backward_sync(self.method, enabled=number < last):
                outputs = self._outputs(batch, epoch * n_batches + number, progress)
                self.fabric.backward(outputs["loss"] / (last + 1 - first))
            self._add(totals, outputs)
            display.advance(self.batches.batch_size)
            if number == last:
                rate = self._step(progress)
                if progress.step % _CHECK_EVERY == 0:
                    self._check_finite(totals["loss"], progress)
                if number + 1 < n_batches and self.checkpoints.is_due():
                    self._check_finite(totals["loss"] + self._weights(), progress)
                    so_far = {name: float(total) for name, total in totals.items()}
                    done = Place(epoch, number + 1, so_far, time.perf_counter() - began)
                    self.checkpoints.save(out, done)
        self._check_finite(totals["loss"] + self._weights(), self._progress(epoch, self.steps_per_epoch - 1))
        seconds = time.perf_counter() - began
        speed = n_batches * self.batches.batch_size * self.views.n_views / seconds
        means = {name: float(total) / n_batches for name, total in totals.items()}
        return {"epoch": epoch + 1, "step": (epoch + 1) * self.steps_per_epoch, **means, "lr": rate,
                "seconds": round(seconds, 2), "images_per_second": round(speed, 1)}  # fmt: skip

    def _outputs(self, batch: Batch, number: int, progress: Progress) -> dict[str, Tensor]:
        """What the method says of one batch; `number` counts the batches of the whole run."""
        # Views differ between processes; what a loss draws is the whole batch's, alike for all (`own_rows`).
        torch.manual_seed(mixed_seed(self.seed, number, 0))
        self.generator.manual_seed(mixed_seed(self.seed, number, self.fabric.global_rank))
        images = batch.images.to(self.fabric.device, non_blocking=True)
        with torch.no_grad():
            views = self.views(images, self.generator)
        return self.method.loss(views, progress)

    def _add(self, totals: dict[str, Tensor], outputs: dict[str, Tensor]) -> None:
        """Add one batch's numbers, means over the processes, to those of the epoch."""
        values = mean_of_all(self.fabric, torch.stack([output.detach() for output in outputs.values()]))
        for name, value in zip(outputs, values, strict=True):
            totals[name] = totals[name] + value if name in totals else value

    def _step(self, progress: Progress) -> float:
        """One step of the optimiser; returns its learning rate."""
        method: Method = self.method.module  # type: ignore[assignment]
        rate = set_rates(self.optimizer, method, progress, warmup=self.warmup)
        method.after_backward(progress)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        method.after_step(self._progress(progress.epoch, progress.step + 1 - progress.epoch * self.steps_per_epoch))
        return rate

    def _progress(self, epoch: int, step_of_epoch: int) -> Progress:
        total = self.n_epochs * self.steps_per_epoch
        return Progress(epoch * self.steps_per_epoch + step_of_epoch, total, epoch, self.n_epochs)

    def _weights(self) -> Tensor:
        """Size of all weights: not finite once the last step has spoilt them, which no loss has shown yet."""
        return torch.stack([parameter.detach().abs().max() for parameter in self.method.parameters()]).sum()

    def _check_finite(self, size: Tensor, progress: Progress) -> None:
        if not torch.isfinite(size):
            rate = max(group["base_lr"] for group in self.optimizer.param_groups)
            raise UserError(
                f"the loss or the weights are no longer finite in epoch {progress.epoch + 1}, at step "
                f"{progress.step + 1}; start again (overwrite=true) with a lower optim.lr (it is {rate:g} after "
                "scaling with the batch size)"
            )

    def _record(self, out: Path, display: Display, row: dict[str, Any]) -> None:
        looked = is_due(row["epoch"], self.n_epochs, self.monitor_every)
        if looked:
            row |= self.monitor(self.method.module.encoder, self.fabric)  # type: ignore[arg-type]
        if not self.fabric.is_global_zero:
            return
        append_row(out / "metrics.csv", row)
        if looked and self.snapshots is not None:
            self.snapshots.look(out, row["epoch"])
        for logger in self.loggers:
            logger.log_metrics(row, step=row["step"])
        display.epoch(row)
        if row.get("collapsed") and row["epoch"]:
            display.say(
                f"epoch {row['epoch']}: the features have collapsed (rank {row['effective_rank']:.1f}, spread "
                f"{row['feature_spread']:.3f}); a lower optim.lr, a larger batch or another method helps"
            )
