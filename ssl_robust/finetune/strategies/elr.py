"""Early-learning regularisation: what the model believed before it began to memorise holds it back later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.records import Batch, TrainInfo

_LEAST = 1e-4  # of 1 - <p, t>: a sure prediction that agrees with its target asks for nothing more


class ELR(Strategy):
    """Cross-entropy, and a reward for agreeing with the running mean of one's own predictions.

    Liu et al. 2020, arXiv 2007.00151, eq. 7; targets by temporal ensembling (section 4.3). A prediction
    joins its target before the loss is taken, as in the authors' program.

    Args:
        weight: lambda; 0 = cross-entropy.
        momentum: beta, the share of a target that stays at each visit.
    """

    targets: Tensor  # (N, K) running means of the predictions; rows sum to at most one

    def __init__(self, *, weight: float, momentum: float) -> None:
        super().__init__()
        if not weight >= 0:
            raise ValueError(f"weight={weight}; expected a number from 0 on")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum}; expected a share from 0 on and below 1")
        self.weight, self.momentum = weight, momentum

    def start(self, info: TrainInfo) -> None:
        """Targets are zero: nothing is believed yet."""
        super().start(info)
        self.register_buffer("targets", torch.zeros(len(info.labels), info.n_classes))

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Cross-entropy + lambda mean log(1 - <p, t>); see `Strategy.losses`."""
        batch = batches[0]["train"]
        logits = models[0](batch.images[0])
        p = logits.softmax(dim=1)
        targets = self.momentum * self.targets[batch.indices] + (1 - self.momentum) * p.detach()
        self.targets[batch.indices] = targets
        # The sign is plus: the logarithm falls as prediction and target agree.
        agreement = (1 - (p * targets).sum(dim=1)).clamp(min=_LEAST).log().mean()
        return [F.cross_entropy(logits, batch.labels) + self.weight * agreement]
