"""BYOL: predict the projection that a slowly moving teacher makes of the other view; no negatives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
from lightly.models.utils import update_momentum
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method
from ssl_robust.pretrain.momentum import frozen_copy, rising_momentum
from ssl_robust.records import Crop, Progress


class BYOL(Method):
    """Negative cosine of prediction and target; Grill et al. 2020, arXiv 2006.07733, eq. 2 is 2 + 2 times it.

    Args:
        encoder: what is pretrained.
        crops: two views.
        momentum: tau_base of section 3.2; rises to 1 over the run.
        hidden_dim: width of projector and predictor.
        output_dim: dimensions of projections and predictions.
    """

    def __init__(
        self, encoder: Encoder, *, crops: Sequence[Crop], momentum: float, hidden_dim: int, output_dim: int
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.momentum = momentum
        self.projector = BYOLProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.predictor = BYOLPredictionHead(output_dim, hidden_dim, output_dim)
        self.teacher, self.teacher_projector = frozen_copy(encoder), frozen_copy(self.projector)
        self.criterion = NegativeCosineSimilarity()

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Mean of both directions, in [-1, 1]."""
        first, second = (self.predictor(self.projector(self.encoder(view))) for view in views)
        with torch.no_grad():
            first_target, second_target = (self.teacher_projector(self.teacher(view)) for view in views)
        return {"loss": 0.5 * (self.criterion(first, second_target) + self.criterion(second, first_target))}

    def after_step(self, progress: Progress) -> None:
        """The teacher follows."""
        momentum = rising_momentum(progress, self.momentum)
        update_momentum(self.encoder, self.teacher, momentum)
        update_momentum(self.projector, self.teacher_projector, momentum)
