"""MoCo v3: contrast with the keys of this batch alone, and what keeps a vision transformer stable at it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.models.modules import MoCoProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils import dist
from timm.layers import PatchEmbed
from torch import Tensor
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, encode_together
from ssl_robust.pretrain.momentum import frozen_copy, rising_momentum
from ssl_robust.records import Crop, Progress


class MoCoV3(Method):
    """Symmetric InfoNCE between predictions and keys; Chen, Xie and He 2021, arXiv 2104.02057, eq. 1, algorithm 1.

    The patch projection of a transformer stays as it was drawn: its gradients are where instability starts (section
    4.2).

    Args:
        encoder: what is pretrained; it gives the queries.
        crops: two views.
        temperature: tau of eq. 1.
        momentum: m of algorithm 1, by which the key encoder stays what it was; rises to 1 over the run.
        hidden_dim: width of projector and predictor.
        output_dim: dimensions in which views are compared.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        temperature: float,
        momentum: float,
        hidden_dim: int,
        output_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.temperature, self.momentum = temperature, momentum
        patches = getattr(encoder.timm, "patch_embed", None)
        if isinstance(patches, PatchEmbed):
            patches.requires_grad_(False)
        # Three and two layers, with batch normalisation after each (implementation details, "MLP heads").
        self.projector = MoCoProjectionHead(encoder.dim, hidden_dim, output_dim, num_layers=3, batch_norm=True)
        self.predictor = MoCoProjectionHead(output_dim, hidden_dim, output_dim, num_layers=2, batch_norm=True)
        self.key_encoder, self.key_projector = frozen_copy(encoder), frozen_copy(self.projector)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """InfoNCE of each view's prediction with the other view's keys, times 2 tau as in algorithm 1, summed."""
        first, second = (self.predictor(self.projector(each)) for each in encode_together(self.encoder, views))
        with torch.no_grad():
            first_key, second_key = (self.key_projector(each) for each in encode_together(self.key_encoder, views))
        return {"loss": self._contrast(first, second_key) + self._contrast(second, first_key)}

    def _contrast(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Each query's key against the keys of all other scans, on all devices."""
        keys = F.normalize(keys, dim=1)
        every = torch.cat(dist.gather(keys)) if dist.world_size() > 1 else keys
        own = torch.arange(len(keys), device=keys.device) + dist.rank() * len(keys)
        scores = F.normalize(queries, dim=1) @ every.T / self.temperature
        return 2 * self.temperature * F.cross_entropy(scores, own)

    def after_step(self, progress: Progress) -> None:
        """The key encoder follows."""
        momentum = rising_momentum(progress, self.momentum)
        update_momentum(self.encoder, self.key_encoder, momentum)
        update_momentum(self.projector, self.key_projector, momentum)
