"""MMCR: the mean views of the scans of a batch fill as many dimensions as they can."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.models.modules.heads import MMCRProjectionHead
from lightly.utils import dist
from torch import Tensor
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, encode_together
from ssl_robust.records import Crop, Progress


class MMCR(Method):
    """Nuclear norm of the centroids; Yerxa et al. 2023, arXiv 2303.03307, section 2.

    A centroid is long where the views of a scan agree, and the norm is large where centroids differ between scans:
    one number asks for both, so the second term of the objective is left out (lambda = 0). lightly's loss knows neither
    the sphere that bounds the norm nor the scans of other processes.

    Args:
        encoder: what is pretrained.
        crops: two views or more.
        hidden_dim: width of both hidden layers of the projector.
        output_dim: dimensions of the sphere's space.
    """

    def __init__(self, encoder: Encoder, *, crops: Sequence[Crop], hidden_dim: int, output_dim: int) -> None:
        super().__init__(encoder, crops=crops)
        self.projector = MMCRProjectionHead(encoder.dim, hidden_dim, output_dim)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Minus the sum of the singular values of the centroids of all processes, (B, D), per scan."""
        features = torch.cat(encode_together(self.encoder, views))
        projections = F.normalize(self.projector(features), dim=1).unflatten(0, (len(views), -1))
        centroids = projections.mean(dim=0)
        if dist.world_size() > 1:
            centroids = torch.cat(dist.gather(centroids))
        return {"loss": -torch.linalg.matrix_norm(centroids, ord="nuc") / len(centroids)}
