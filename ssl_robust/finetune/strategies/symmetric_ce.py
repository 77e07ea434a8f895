"""Symmetric cross-entropy: a label explains the prediction, and the prediction explains the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.records import Batch


class SymmetricCE(Strategy):
    """Adds a bounded term, which tolerates noise, to a cross-entropy that is kept small.

    Wang et al. 2019, arXiv 1908.06112.

    Args:
        alpha: weight of the cross-entropy.
        beta: weight of the reverse cross-entropy; 0 (with alpha 1) = cross-entropy.
        log_zero: A, what stands for log 0; below 0.
    """

    def __init__(self, *, alpha: float, beta: float, log_zero: float) -> None:
        super().__init__()
        if alpha < 0 or beta < 0 or not alpha + beta > 0:
            raise ValueError(f"alpha={alpha}, beta={beta}; expected weights from 0 on, not both 0")
        if not log_zero < 0:
            raise ValueError(f"log_zero={log_zero}; expected a number below 0, e.g. -4")
        self.alpha, self.beta, self.log_zero = alpha, beta, log_zero

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean of `symmetric_cross_entropy`; see `Strategy.losses`."""
        batch = batches[0]["train"]
        logits = models[0](batch.images[0])
        each = symmetric_cross_entropy(logits, batch.labels, alpha=self.alpha, beta=self.beta, log_zero=self.log_zero)
        return [each.mean()]


def symmetric_cross_entropy(logits: Tensor, labels: Tensor, *, alpha: float, beta: float, log_zero: float) -> Tensor:
    """alpha (-log p_y) + beta (-sum over k of p_k log q_k), where q is one for the label and log 0 = A.

    Args:
        logits: (B, K).
        labels: (B,).
        alpha: weight of the cross-entropy.
        beta: weight of the reverse cross-entropy, which is -A (1 - p_y).
        log_zero: A.

    Returns:
        (B,).
    """
    own = logits.log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    return -alpha * own - beta * log_zero * (1 - own.exp())
