"""Forward correction: the model speaks of true classes, and the noise matrix turns that into labels as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.finetune.transition import assumed_transition, noisy_log_probabilities
from ssl_robust.records import Batch, TrainInfo


class Forward(Strategy):
    """Cross-entropy of T^T p with the labels as given: its minimum is the classifier of the true ones.

    Patrini et al. 2017, arXiv 1609.03683, theorem 2. T is estimated from the features of the encoder instead of a first
    network's outputs.

    Args:
        transition: (K, K) T[true, given], a row per class; None: estimated; the identity = cross-entropy.
    """

    transition: Tensor

    def __init__(self, *, transition: Sequence[Sequence[float]] | None) -> None:
        super().__init__()
        self._given = transition

    def start(self, info: TrainInfo) -> None:
        """Find T."""
        super().start(info)
        self.register_buffer("transition", assumed_transition(self._given, info))

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean -log (T^T p)_y; see `Strategy.losses`."""
        batch = batches[0]["train"]
        return [-noisy_log_probabilities(models[0](batch.images[0]), self.transition.log(), batch.labels).mean()]
