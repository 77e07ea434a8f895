"""Mixup: straight lines between samples, along which a wrong label can only be learnt together with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.mixing import mix
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.records import Batch, TrainInfo


class Mixup(Strategy):
    """Cross-entropy of mixed scans (with frozen features, of mixed features) with mixed labels.

    Zhang et al. 2018, arXiv 1710.09412; section 3.4 for noisy labels.

    Args:
        alpha: of Beta(alpha, alpha), which the weights are drawn from; 0 = cross-entropy, large = always halves.
    """

    def __init__(self, *, alpha: float) -> None:
        super().__init__()
        if isinstance(alpha, bool) or not 0 <= alpha < float("inf"):
            raise ValueError(f"alpha={alpha}; expected a number from 0 (nothing is mixed) on, e.g. 1")
        self.alpha = alpha

    def start(self, info: TrainInfo) -> None:
        """Note the number of classes."""
        super().start(info)
        self.n_classes = info.n_classes

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean cross-entropy of a mixed batch; see `Strategy.losses`."""
        batch = batches[0]["train"]
        targets = F.one_hot(batch.labels, self.n_classes).float()
        images, targets = mix(batch.images[0], targets, self.alpha)
        return [F.cross_entropy(models[0](images), targets)]
