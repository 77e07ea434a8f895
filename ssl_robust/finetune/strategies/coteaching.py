"""Co-teaching: two networks, each of which chooses what the other learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.selection import forget_rate, small_loss
from ssl_robust.finetune.strategy import Strategy, assumed_rate, fitting_warmup
from ssl_robust.records import Batch, TrainInfo


class CoTeaching(Strategy):
    """Each network picks the small losses of a batch, and learns from the other's picks (Han et al. 2018).

    Networks learn right labels before wrong ones (arXiv 1804.06872); what one of them has taken for right by
    mistake, the other would not have, so that errors are not confirmed.

    Args:
        assumed_noise_rate: share of a batch that is left out in the end; None: estimated.
        warmup_epochs: over which that share rises from 0; half of the run at most.
    """

    n_models = 2

    def __init__(self, *, assumed_noise_rate: float | None, warmup_epochs: int) -> None:
        super().__init__()
        self.assumed_noise_rate, self.warmup_epochs = assumed_noise_rate, warmup_epochs

    def start(self, info: TrainInfo) -> None:
        """See `Strategy.start`."""
        super().start(info)
        self.warmup = fitting_warmup(self.warmup_epochs, info)
        self.rate = assumed_rate(self.assumed_noise_rate, info)

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean cross-entropy over the samples that the other network has picked; see `Strategy.losses`."""
        batch = batches[0]["train"]  # both networks are shown the same
        losses = [F.cross_entropy(model(batch.images[0]), batch.labels, reduction="none") for model in models]
        forget = forget_rate(self.rate, epoch, self.warmup)
        picks = [self.pick(number, each.detach(), batch.indices, forget) for number, each in enumerate(losses)]
        return [losses[0][picks[1]].mean(), losses[1][picks[0]].mean()]

    def pick(self, number: int, losses: Tensor, indices: Tensor, forget: float) -> Tensor:
        """Positions in the batch that a network takes for rightly labelled.

        Args:
            number: of the network.
            losses: (B,) its losses.
            indices: (B,) positions in `TrainInfo.labels`.
            forget: share to leave out.
        """
        return small_loss(losses, forget)
