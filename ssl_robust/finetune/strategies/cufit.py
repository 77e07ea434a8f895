"""A curriculum by agreement: what a simple model cannot be made to believe, the next one is not taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Evaluation, Strategy, Stream
from ssl_robust.records import Batch, TrainInfo


class Cufit(Strategy):
    """Linear probe -> adapter -> classifier, each taught what the one before agrees with (Yu et al. 2024, CUFIT).

    arXiv 2412.00150: a linear probe on frozen features is shown all samples, and hardly bends to wrong labels.
    Agreement, prediction = label as given, chooses and needs no rate of noise. Here the first two stages learn on the
    features of the encoder that training starts from, taken once and without augmentation; only the classifier's moves.
    With frozen features the paper's last adapter is a linear layer, which is what a classifier is there.

    Args:
        adapter_dim: width of the adapter between its two layers.
    """

    def __init__(self, *, adapter_dim: int) -> None:
        super().__init__()
        if adapter_dim < 1:
            raise ValueError(f"adapter_dim={adapter_dim}; expected a whole number from 1 on")
        self.adapter_dim = adapter_dim

    def start(self, info: TrainInfo) -> None:
        """See `Strategy.start`."""
        super().start(info)
        self.probe = nn.Linear(info.feature_dim, info.n_classes)
        self.adapter = Adapter(info.feature_dim, self.adapter_dim, info.n_classes)
        self.register_buffer("features", torch.zeros(len(info.labels), info.feature_dim))

    def plan_epoch(self, epoch: int, evaluate: Callable[[int], Evaluation]) -> list[dict[str, Stream]]:
        """All samples; before the first step their features are kept, standardised."""
        if epoch == 0:
            features = evaluate(0).features
            spread = features.std(dim=0, correction=0)
            self.features.copy_((features - features.mean(dim=0)) / spread.clamp_min(1e-6 + 0.01 * spread.mean()))  # type: ignore[operator]
        return super().plan_epoch(epoch, evaluate)

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Sum over the three stages, none of which reaches another's parameters; see `Strategy.losses`."""
        batch = batches[0]["train"]
        features = self.features[batch.indices]  # type: ignore[index]
        stages = [self.probe(features), self.adapter(features), models[0](batch.images[0])]
        agreed = [torch.ones_like(batch.labels, dtype=torch.bool)]
        agreed += [logits.argmax(dim=1) == batch.labels for logits in stages[:-1]]
        return [sum((mean_over(*each, batch.labels) for each in zip(stages, agreed, strict=True)), torch.zeros(()))]


class Adapter(nn.Module):
    """Features -> logits, by a narrow layer around which the features pass unchanged, and a linear one.

    Args:
        dim: D.
        width: of the narrow layer.
        n_classes: K.
    """

    def __init__(self, dim: int, width: int, n_classes: int) -> None:
        super().__init__()
        self.down, self.up, self.head = nn.Linear(dim, width), nn.Linear(width, dim), nn.Linear(dim, n_classes)
        nn.init.zeros_(self.up.weight)  # begins as a linear probe
        nn.init.zeros_(self.up.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) -> (B, K)."""
        return self.head(features + self.up(F.gelu(self.down(features))))


def mean_over(logits: Tensor, chosen: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the chosen samples, 0 where there is none.

    Args:
        logits: (B, K).
        chosen: (B,) bool.
        labels: (B,) as given.
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    return (losses * chosen).sum() / chosen.sum().clamp_min(1)
