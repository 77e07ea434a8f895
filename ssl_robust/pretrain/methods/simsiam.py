"""SimSiam: predict the other view's projection; a stopped gradient alone keeps it from collapsing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method
from ssl_robust.records import Crop, Progress


class SimSiam(Method):
    """Symmetric negative cosine; Chen and He 2020, arXiv 2011.10566, eq. 2.

    Args:
        encoder: what is pretrained.
        crops: two views.
        projection_dim: width of all three layers of the projector.
        prediction_dim: width of the predictor's hidden layer.
    """

    def __init__(self, encoder: Encoder, *, crops: Sequence[Crop], projection_dim: int, prediction_dim: int) -> None:
        super().__init__(encoder, crops=crops)
        self.projector = SimSiamProjectionHead(encoder.dim, projection_dim, projection_dim)
        self.predictor = SimSiamPredictionHead(projection_dim, prediction_dim, projection_dim)
        self.criterion = NegativeCosineSimilarity()

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Mean of both directions, in [-1, 1]."""
        first, second = (self.projector(self.encoder(view)) for view in views)
        forward = self.criterion(self.predictor(first), second.detach())
        backward = self.criterion(self.predictor(second), first.detach())
        return {"loss": 0.5 * (forward + backward)}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The predictor keeps its rate: "it is not necessary to force it converge" (section 4.2)."""
        learned = [*self.encoder.parameters(), *self.projector.parameters()]
        return [{"params": learned}, {"params": list(self.predictor.parameters()), "fixed_lr": True}]
