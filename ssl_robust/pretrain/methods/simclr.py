"""SimCLR: two views of a scan attract, views of different scans repel."""

from __future__ import annotations

from collections.abc import Sequence

from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, encode_together
from ssl_robust.records import Crop, Progress


class SimCLR(Method):
    """NT-Xent on projected features; Chen et al. 2020, arXiv 2002.05709, eq. 1.

    Args:
        encoder: what is pretrained.
        crops: two views.
        temperature: tau of eq. 1; smaller = the nearest negatives count more.
        hidden_dim: width of the projection head.
        output_dim: dimensions in which views are compared.
    """

    def __init__(
        self, encoder: Encoder, *, crops: Sequence[Crop], temperature: float, hidden_dim: int, output_dim: int
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.head = SimCLRProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.criterion = NTXentLoss(temperature=temperature, gather_distributed=True)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """NT-Xent over both directions; every other view in the batch is a negative."""
        first, second = (self.head(features) for features in encode_together(self.encoder, views))
        return {"loss": self.criterion(first, second)}
