"""One loop for every noise-robust strategy: streams, views, optimiser, rates, randomness and checkpoints.

A plain PyTorch loop on one device. A strategy may look at the whole training set before each epoch and re-plan what
its networks see, with streams of changing length: Lightning's Trainer would have to be told by manual optimisation and
reloaded loaders what twenty lines say here, and labelled sets are small. Everything random follows from (seed, epoch,
step), so a checkpoint needs no generator states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.inputs import Inputs
from ssl_robust.finetune.strategy import Evaluation, Strategy, Stream
from ssl_robust.finetune.task import Task
from ssl_robust.records import Batch, Progress
from ssl_robust.run import UserError
from ssl_robust.training.display import Display
from ssl_robust.training.optimizers import make_optimizer, mixed_seed, rate_factor

_EVALUATION_BATCH = 256


class Loop:
    """Trains the models of a strategy on labels as given.

    Args:
        strategy: started already, so that it holds all its buffers.
        models: what its `build` gave.
        inputs: what the models are fed.
        task: the labels; only `train` and `given` reach the strategy.
        optim: the `optim` node of the configuration.
        trainer: the `trainer` node.
        encoder_lr_scale: factor on the encoder's rate.
        seed: of everything random.
        device: where to train.
    """

    def __init__(
        self,
        strategy: Strategy,
        models: Sequence[Classifier],
        *,
        inputs: Inputs,
        task: Task,
        optim: Mapping[str, Any],
        trainer: Mapping[str, Any],
        encoder_lr_scale: float,
        seed: int,
        device: torch.device,
    ) -> None:
        self.strategy, self.models = strategy.to(device), [model.to(device) for model in models]
        self.inputs, self.task = inputs, task
        self.seed, self.device = seed, device
        self.n_epochs, self.batch_size = trainer["max_epochs"], trainer["batch_size"]
        self.accumulate, self.warmup = trainer["accumulate"], optim["warmup"]
        self.generator = torch.Generator(device)
        self.given = torch.from_numpy(task.given[task.train])
        groups: list[dict[str, Any]] = [{"params": list(strategy.parameters())}]
        for model in self.models:
            groups.append({"params": list(model.encoder.parameters()), "lr_scale": encoder_lr_scale})
            groups.append({"params": list(model.head.parameters())})
        self.optimizer = make_optimizer(groups, optim, scans_per_step=self.batch_size * self.accumulate)

    def epoch(self, epoch: int, display: Display) -> dict[str, float]:
        """Train for one epoch.

        Args:
            epoch: from 0.
            display: what a person sees.

        Returns:
            loss: mean over batches and models; lr: the last rate, before the groups' factors.

        Raises:
            UserError: the loss or the weights are no longer finite.
        """
        _seed(mixed_seed(self.seed, epoch), self.device)
        plan = self.strategy.plan_epoch(epoch, self.evaluate)
        steps = max(_n_batches(next(iter(streams.values())), self.batch_size) for streams in plan)
        updates = -(-steps // self.accumulate)
        total = torch.zeros((), device=self.device)
        factor = 0.0
        for module in (self.strategy, *self.models):
            module.train()
        for number, batches in enumerate(self._batches(plan, epoch, steps)):
            losses = self.strategy.losses(self.models, batches, epoch)
            loss = torch.stack(losses).sum()
            first = number - number % self.accumulate  # of the batches whose gradients are added up
            (loss / min(self.accumulate, steps - first)).backward()
            total += loss.detach() / len(losses)
            if number + 1 == min(first + self.accumulate, steps):
                step = epoch * updates + number // self.accumulate
                factor = self._step(Progress(step, self.n_epochs * updates, epoch, self.n_epochs))
            display.advance(len(next(iter(batches[0].values())).labels))
        if not torch.isfinite(total + self._weights()):
            raise UserError(f"the loss or the weights are no longer finite in epoch {epoch + 1}; start again "
                            "(overwrite=true) with a lower optim.lr")  # fmt: skip
        return {"loss": float(total) / steps, "lr": factor * self.optimizer.defaults["lr"]}

    @torch.no_grad()
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) float32 class probabilities of some rows of the manifest, without augmentation."""
        for module in (self.strategy, *self.models):
            module.eval()
        parts = [self.strategy.predict(self.models, self.inputs.plain(part)).cpu() for part in _parts(rows)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.task.n_classes), dtype=np.float32)

    @torch.no_grad()
    def evaluate(self, number: int) -> Evaluation:
        """What one model makes of the training samples; the `evaluate` of `Strategy.plan_epoch`."""
        model = self.models[number].eval()
        features = torch.cat([model.features(self.inputs.plain(part)).cpu() for part in _parts(self.task.train)])
        logits = torch.cat([model.head(part.to(self.device)).cpu() for part in features.split(_EVALUATION_BATCH)])
        return Evaluation(features, logits, torch.arange(len(features)))

    def state_dict(self) -> dict[str, Any]:
        """For `last.ckpt`."""
        models = [model.state_dict() for model in self.models]
        return {"models": models, "strategy": self.strategy.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        for model, values in zip(self.models, state["models"], strict=True):
            model.load_state_dict(values)
        self.strategy.load_state_dict(state["strategy"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _step(self, progress: Progress) -> float:
        factor = rate_factor(progress, warmup=self.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return factor

    def _weights(self) -> Tensor:
        """Size of all weights: not finite once the last step has spoilt them, which no loss has shown yet."""
        parts = [each.detach().abs().max() for group in self.optimizer.param_groups for each in group["params"]]
        return torch.stack(parts).sum()

    def _batches(
        self, plan: Sequence[Mapping[str, Stream]], epoch: int, steps: int
    ) -> Iterator[list[dict[str, Batch]]]:
        """Per step and model, one batch of each stream; a stream that models share is read once."""
        streams = {id(stream): stream for named in plan for stream in named.values() if len(stream.indices)}
        orders = {
            key: _order(stream, self.batch_size, steps, np.random.default_rng((self.seed, epoch, number)))
            for number, (key, stream) in enumerate(streams.items())
        }
        for step in range(steps):
            seed = mixed_seed(self.seed, epoch, step)
            _seed(seed, self.device)
            self.generator.manual_seed(seed)
            made = {key: self._batch(orders[key][step], stream.n_views) for key, stream in streams.items()}
            yield [{name: made[id(stream)] for name, stream in named.items() if id(stream) in made} for named in plan]

    def _batch(self, positions: np.ndarray, n_views: int) -> Batch:
        images = self.inputs.views(self.task.train[positions], n_views, self.generator)
        indices = torch.from_numpy(positions)
        return Batch(images, self.given[indices].to(self.device), indices.to(self.device))


def _seed(seed: int, device: torch.device) -> None:
    """`torch.manual_seed`, which on a CPU notes a stack trace for each kind of device that is not there.

    They are kept for ever, and took a third of a step on frozen features.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _order(stream: Stream, batch_size: int, steps: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Positions of each step: shuffled, in batches of nearly equal size (none of a single sample), over and over."""
    batches: list[np.ndarray] = []
    while len(batches) < steps:
        batches += np.array_split(rng.permutation(stream.indices), _n_batches(stream, batch_size))
    return batches[:steps]


def _n_batches(stream: Stream, batch_size: int) -> int:
    return -(-len(stream.indices) // batch_size)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _EVALUATION_BATCH] for start in range(0, len(rows), _EVALUATION_BATCH)]
