"""Barlow Twins: each output agrees between views and is uncorrelated with every other output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.loss import BarlowTwinsLoss
from lightly.models.modules import BarlowTwinsProjectionHead
from lightly.utils import dist
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method
from ssl_robust.records import Crop, Progress


class BarlowTwins(Method):
    """Cross-correlation matrix towards the identity; Zbontar et al. 2021, arXiv 2103.03230, eq. 1.

    Args:
        encoder: what is pretrained.
        crops: two views.
        redundancy_weight: lambda of eq. 1.
        projection_dim: width of all three layers of the projector.
    """

    def __init__(
        self, encoder: Encoder, *, crops: Sequence[Crop], redundancy_weight: float, projection_dim: int
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.projector = BarlowTwinsProjectionHead(encoder.dim, projection_dim, projection_dim)
        self.criterion = BarlowTwinsLoss(redundancy_weight)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Squared distance of the diagonal from 1, and lambda times that of the rest from 0, summed."""
        first, second = (_of_all_processes(self.projector(self.encoder(view))) for view in views)
        return {"loss": self.criterion(first, second)}


def _of_all_processes(outputs: Tensor) -> Tensor:
    """lightly's own gathering adds up matrices of which each is normalised over the scans of one process alone."""
    return torch.cat(dist.gather(outputs)) if dist.world_size() > 1 else outputs
