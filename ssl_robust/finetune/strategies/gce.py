"""Generalised cross-entropy: between cross-entropy, which learns fast, and mean absolute error, which forgives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Strategy
from ssl_robust.records import Batch


class GCE(Strategy):
    """Lets the pull of a label fade where the model doubts it.

    Zhang & Sabuncu 2018, arXiv 1805.07836. The gradient is that of cross-entropy times p_y^q. The truncated loss of
    the same paper is left out.

    Args:
        q: 0 = cross-entropy, 1 = mean absolute error (Ghosh et al. 2017, arXiv 1712.09482) up to its factor 2.
    """

    def __init__(self, *, q: float) -> None:
        super().__init__()
        if isinstance(q, bool) or not 0 <= q <= 1:
            raise ValueError(f"q={q}; expected a number from 0 (cross-entropy) to 1 (mean absolute error)")
        self.q = q

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Mean of `generalized_cross_entropy`; see `Strategy.losses`."""
        batch = batches[0]["train"]
        return [generalized_cross_entropy(models[0](batch.images[0]), batch.labels, self.q).mean()]


def generalized_cross_entropy(logits: Tensor, labels: Tensor, q: float) -> Tensor:
    """(1 - p_y^q) / q, and its limit -log p_y for q = 0.

    Args:
        logits: (B, K).
        labels: (B,).
        q: in [0, 1].

    Returns:
        (B,).
    """
    own = logits.log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    # 1 - p^q itself loses all digits where q is small.
    return -torch.expm1(q * own) / q if q else -own
