"""The contract of a noise-robust strategy: which samples a model sees, and the loss it gets for them.

The loop owns optimiser, rates, views, precision, device, measures and checkpoints. A new strategy is one file under
`strategies/` and one YAML under `configs/strategy/`. No strategy sees a true label or the noise that was made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.records import Batch, TrainInfo
from ssl_robust.targets import resolve


class Stream(NamedTuple):
    """Samples that a model is shown in an epoch, in batches of shuffled order.

    Attributes:
        indices: (n,) int64 positions in `TrainInfo.labels`.
        n_views: random views of each.
    """

    indices: np.ndarray
    n_views: int


class Evaluation(NamedTuple):
    """What a model makes of all training samples, without augmentation and in evaluation mode; on the CPU.

    Attributes:
        features: (N, D) float32.
        logits: (N, K) float32.
        indices: (N,) int64 positions in `TrainInfo.labels`.
    """

    features: Tensor
    logits: Tensor
    indices: Tensor


class Strategy(nn.Module, ABC):
    """Batches with labels as given -> losses.

    Everything that a resumed run needs must be a parameter or a persistent buffer; parameters of the strategy itself
    are trained with those of the models.

    Attributes:
        n_models: networks that are trained together.
        said: what a user should hear of the labels once `start` has looked at them; mostly nothing.
    """

    n_models = 1
    said = ""

    def build(self, make_model: Callable[[], Classifier]) -> list[Classifier]:
        """The models to train.

        Args:
            make_model: each call gives a classifier with a new head, and with a new encoder where none is pretrained.
        """
        return [make_model() for _ in range(self.n_models)]

    def start(self, info: TrainInfo) -> None:
        """Called once, after `build` and before the first epoch; buffers that need N or K are made here."""
        self.n_samples = len(info.labels)

    def plan_epoch(self, epoch: int, evaluate: Callable[[int], Evaluation]) -> list[dict[str, Stream]]:
        """Choose what each model is shown in the epoch that follows; by default one stream "train" of all samples.

        An epoch has as many steps as the longest first stream has batches; shorter streams start again. Models that
        are given the same `Stream` object get the same batches; a stream without samples gives none.

        Args:
            epoch: from 0.
            evaluate: number of a model -> its `Evaluation`; one forward pass over the training set.

        Returns:
            One dict of named streams per model.
        """
        stream = Stream(np.arange(self.n_samples), n_views=1)
        return [{"train": stream}] * self.n_models

    @abstractmethod
    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """One loss per model; every selection is made before any model steps.

        A loss must reach the parameters of its own model only: what another model contributes is detached.

        Args:
            models: in training mode.
            batches: per model, by name of the stream: images (V, B, C, S, S) in [0, 1], one slice per view (with
                frozen features (V, B, D)); labels (B,) as given; indices (B,) positions in `TrainInfo.labels`.
            epoch: from 0.

        Returns:
            Scalars to minimise.
        """

    def logit_offsets(self) -> Tensor | None:
        """(K,) what `losses` adds to the logits and `predict` leaves away; None, the default: nothing."""
        return None

    def predict(self, models: Sequence[Classifier], images: Tensor) -> Tensor:
        """Class probabilities of scans: the mean of the models' softmax.

        A model that is asked is given each scan once: what its head sees and says then is recorded as training
        dynamics.

        Args:
            models: in evaluation mode.
            images: (B, C, S, S) without augmentation, as stored or in [0, 1].

        Returns:
            (B, K), rows sum to one.
        """
        return torch.stack([model(images).softmax(dim=1) for model in models]).mean(dim=0)


def assumed_rate(value: float | None, info: TrainInfo) -> float:
    """The share of wrong labels that a strategy reckons with: as its configuration says, or as the features tell.

    Args:
        value: `assumed_noise_rate`; None: estimated.
        info: as given to `start`.

    Raises:
        ValueError: no share below 1.
    """
    if value is None:
        return info.believe().rate
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"assumed_noise_rate={value}; expected a share from 0 on and below 1, or null to estimate it")
    return float(value)


def fitting_warmup(epochs: int, info: TrainInfo) -> int:
    """Epochs before a strategy stops trusting every label: as configured, but half of the run at most.

    Args:
        epochs: `warmup_epochs`; the papers' are meant for runs several times as long as one from a pretrained encoder.
        info: as given to `start`.

    Raises:
        ValueError: no number of epochs.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"warmup_epochs={epochs}; expected a whole number, at least 0")
    return min(epochs, info.n_epochs // 2) if info.n_epochs else epochs


def build_strategy(settings: Mapping[str, Any]) -> Strategy:
    """A `strategy` node of the configuration -> the strategy.

    Args:
        settings: `_target_` and the strategy's hyperparameters.
    """
    values = {name: value for name, value in settings.items() if name != "_target_"}
    return resolve("strategy", settings)(**values)
