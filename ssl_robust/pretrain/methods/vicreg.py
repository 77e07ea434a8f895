"""VICReg: views agree, every output varies over the batch, and outputs are uncorrelated."""

from __future__ import annotations

from collections.abc import Sequence

from lightly.loss import VICRegLoss
from lightly.models.modules.heads import VICRegProjectionHead
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method
from ssl_robust.records import Crop, Progress


class VICReg(Method):
    """Invariance, variance and covariance; Bardes et al. 2021, arXiv 2105.04906, eq. 6.

    As in the authors' code, the invariance is a mean over dimensions and the variance terms of both views are halved.

    Args:
        encoder: what is pretrained.
        crops: two views.
        invariance_weight: lambda of eq. 6.
        variance_weight: mu.
        covariance_weight: nu.
        projection_dim: width of all three layers of the projector.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        invariance_weight: float,
        variance_weight: float,
        covariance_weight: float,
        projection_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.projector = VICRegProjectionHead(encoder.dim, projection_dim, projection_dim)
        self.criterion = VICRegLoss(invariance_weight, variance_weight, covariance_weight, gather_distributed=True)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """The weighted sum of the three terms."""
        first, second = (self.projector(self.encoder(view)) for view in views)
        return {"loss": self.criterion(first, second)}
