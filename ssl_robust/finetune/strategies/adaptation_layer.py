"""Noise-adaptation layer: forward correction whose noise matrix is learnt along with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.finetune.transition import assumed_transition, noisy_log_probabilities
from ssl_robust.records import Batch, TrainInfo


class AdaptationLayer(Strategy):
    """A softmax layer from true to given classes stands behind the model in training, and is taken away to predict.

    Goldberger & Ben-Reuven 2017 (ICLR, openreview H12GRgcxg): the simple model, whose noise depends on the
    class alone. It starts from the estimated matrix, where the paper takes a first network's confusions.

    Args:
        transition: (K, K) T[true, given] that the layer starts from; None: estimated.
        least: chance that the layer starts from, at least; what never happens could not be learnt.
    """

    layer: Tensor

    def __init__(self, *, transition: Sequence[Sequence[float]] | None, least: float) -> None:
        super().__init__()
        if not 0 < least < 1:
            raise ValueError(f"least={least}; expected a chance above 0 and below 1, e.g. 0.001")
        self._given, self.least = transition, least

    def start(self, info: TrainInfo) -> None:
        """Find the matrix that the layer starts from."""
        super().start(info)
        logits = assumed_transition(self._given, info).clamp(min=self.least).log()
        # A flat vector, because optimisers decay matrices: that would pull the layer towards noise without structure.
        self.layer = nn.Parameter(logits.flatten())

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean -log (T^T p)_y, with the rows of T a softmax of the layer; see `Strategy.losses`."""
        batch = batches[0]["train"]
        logits = models[0](batch.images[0])
        log_transition = self.layer.view(logits.shape[1], -1).log_softmax(dim=1)
        return [-noisy_log_probabilities(logits, log_transition, batch.labels).mean()]
