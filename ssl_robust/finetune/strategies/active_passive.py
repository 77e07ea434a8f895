"""Active-passive loss: one bounded term draws the label's probability up, another presses the others down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.records import Batch


class ActivePassive(Strategy):
    """Normalised cross-entropy and mean absolute error: both tolerate symmetric noise, together they learn faster.

    Ma et al. 2020, arXiv 2006.13554 (NCE + MAE). With reverse cross-entropy as the passive term,
    the paper's other choice, nothing changes but beta: it is -A/2 times the mean absolute error.

    Args:
        alpha: weight of the normalised cross-entropy.
        beta: weight of the mean absolute error.
    """

    def __init__(self, *, alpha: float, beta: float) -> None:
        super().__init__()
        if alpha < 0 or beta < 0 or not alpha + beta > 0:
            raise ValueError(f"alpha={alpha}, beta={beta}; expected weights from 0 on, not both 0")
        self.alpha, self.beta = alpha, beta

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean of `active_passive`; see `Strategy.losses`."""
        batch = batches[0]["train"]
        return [active_passive(models[0](batch.images[0]), batch.labels, alpha=self.alpha, beta=self.beta).mean()]


def active_passive(logits: Tensor, labels: Tensor, *, alpha: float, beta: float) -> Tensor:
    """alpha log p_y / (sum over k of log p_k) + 2 beta (1 - p_y).

    Args:
        logits: (B, K).
        labels: (B,).
        alpha: weight of the normalised cross-entropy.
        beta: weight of the mean absolute error.

    Returns:
        (B,).
    """
    logs = logits.log_softmax(dim=1)
    own = logs.gather(1, labels[:, None]).squeeze(1)
    return alpha * own / logs.sum(dim=1) + 2 * beta * (1 - own.exp())
