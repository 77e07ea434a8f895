"""Co-teaching that also picks by variance of gradients, lest rare classes be thrown out as noise."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ssl_robust.finetune.selection import GradientWindow, small_loss_and_variance
from ssl_robust.finetune.strategies.coteaching import CoTeaching
from ssl_robust.finetune.strategy import Evaluation, Stream
from ssl_robust.noise.dynamics import LAST_EPOCHS
from ssl_robust.records import TrainInfo


class CoTeachingVOG(CoTeaching):
    """Co-teaching whose picks after the warm-up are partly those of settled gradients (Khanal et al. 2024).

    arXiv 2407.05973. The variance is that of a network's own last five epochs and no earlier ones, taken without
    augmentation after each epoch; until two are known, losses alone decide.

    Args:
        assumed_noise_rate: share of a batch that is left out in the end; None: estimated.
        warmup_epochs: over which that share rises from 0, by losses alone; half of the run at most.
        variance_share: of the picks, by variance of gradients.
    """

    def __init__(self, *, assumed_noise_rate: float | None, warmup_epochs: int, variance_share: float) -> None:
        super().__init__(assumed_noise_rate=assumed_noise_rate, warmup_epochs=warmup_epochs)
        if not 0 <= variance_share <= 1:
            raise ValueError(f"variance_share={variance_share}; expected a share from 0 to 1")
        self.variance_share = variance_share
        self.variances: list[Tensor | None] = [None] * self.n_models

    def start(self, info: TrainInfo) -> None:
        """See `Strategy.start`."""
        super().start(info)
        self.labels = info.labels
        self.windows = nn.ModuleList(GradientWindow(len(info.labels), info.feature_dim) for _ in range(self.n_models))

    def plan_epoch(self, epoch: int, evaluate: Callable[[int], Evaluation]) -> list[dict[str, Stream]]:
        """All samples for both networks, once the gradients after the epoch before are taken in."""
        if epoch >= max(1, self.warmup - LAST_EPOCHS + 1):  # earlier ones leave the window before it is looked at
            for number, window in enumerate(self.windows):
                assert isinstance(window, GradientWindow)
                window.add(evaluate(number), self.labels)
                self.variances[number] = window.variance() if epoch >= self.warmup else None
        return super().plan_epoch(epoch, evaluate)

    def pick(self, number: int, losses: Tensor, indices: Tensor, forget: float) -> Tensor:
        """Small losses, and among the rest small variances; see `CoTeaching.pick`."""
        variance = self.variances[number]
        if variance is None:
            return super().pick(number, losses, indices, forget)
        return small_loss_and_variance(losses, variance[indices], forget, variance_share=self.variance_share)
