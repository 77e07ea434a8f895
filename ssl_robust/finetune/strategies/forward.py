"""Forward correction: the model speaks of true classes, and the noise matrix turns that into labels as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ssl_robust.finetune.adjustment import adjustment, checked_strength
from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.finetune.transition import assumed_transition, noisy_log_probabilities
from ssl_robust.records import Batch, TrainInfo


class Forward(Strategy):
    """Cross-entropy of T^T p with the labels as given: its minimum is the classifier of the true ones.

    Patrini et al. 2017, arXiv 1609.03683, theorem 2. T is estimated from the features of the encoder instead of a first
    network's outputs. With a strength, p is the softmax of f(x) + strength log(prior of the true classes), so that f(x)
    alone answers as if all classes were equally frequent (logit adjustment, Menon et al. 2021, arXiv 2007.07314).

    Args:
        transition: (K, K) T[true, given], a row per class; None: estimated; the identity = cross-entropy.
        strength: tau; 0 = forward correction alone.
    """

    transition: Tensor
    offsets: Tensor  # (K,)

    def __init__(self, *, transition: Sequence[Sequence[float]] | None, strength: float) -> None:
        super().__init__()
        self._given, self.strength = transition, checked_strength(strength)

    def start(self, info: TrainInfo) -> None:
        """Find T, and with a strength how frequent the true classes are."""
        super().start(info)
        self.register_buffer("transition", assumed_transition(self._given, info))
        counts = torch.ones(info.n_classes)
        if self.strength:
            counts = torch.from_numpy(np.asarray(info.believe().posterior).sum(axis=0))
        self.register_buffer("offsets", adjustment(counts, self.strength))

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean -log (T^T p)_y; see `Strategy.losses`."""
        batch = batches[0]["train"]
        logits = models[0](batch.images[0]) + self.offsets
        return [-noisy_log_probabilities(logits, self.transition.log(), batch.labels).mean()]

    def logit_offsets(self) -> Tensor:
        """(K,) strength log(prior); see `Strategy.logit_offsets`."""
        return self.offsets
