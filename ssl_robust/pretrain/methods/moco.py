"""MoCo: like SimCLR, but the negatives come from a queue of earlier keys, made by a slowly moving encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead
from lightly.models.utils import update_momentum
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method
from ssl_robust.pretrain.momentum import frozen_copy
from ssl_robust.records import Crop, Progress


class MoCo(Method):
    """InfoNCE against a queue; He et al. 2019, arXiv 1911.05722, eq. 1, with the head of v2, arXiv 2003.04297.

    Both views serve as query and as key (the symmetric loss of the authors' CIFAR code). Batch
    normalisation sees the scans of all devices, so keys need not be shuffled between them.

    Args:
        encoder: what is pretrained.
        crops: two views.
        temperature: tau of eq. 1.
        queue_size: how many keys of earlier scans are negatives.
        momentum: m of eq. 2, by which the key encoder stays what it was.
        hidden_dim: width of the projection head.
        output_dim: dimensions in which views are compared.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        temperature: float,
        queue_size: int,
        momentum: float,
        hidden_dim: int,
        output_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.momentum = momentum
        self.head = MoCoProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.key_encoder, self.key_head = frozen_copy(encoder), frozen_copy(self.head)
        self.criterion = NTXentLoss(temperature, memory_bank_size=(queue_size, output_dim), gather_distributed=True)
        # lightly keeps the queue out of the state dict; a resumed run needs it.
        for name in ("bank", "bank_ptr"):
            self.criterion.memory_bank.register_buffer(name, getattr(self.criterion.memory_bank, name))

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """InfoNCE of each view's query with the other view's key."""
        first, second = (self.head(self.encoder(view)) for view in views)
        with torch.no_grad():
            first_key, second_key = (self.key_head(self.key_encoder(view)) for view in views)
        # In one call: a second call would find the keys of these very scans in the queue, as negatives.
        return {"loss": self.criterion(torch.cat([first, second]), torch.cat([second_key, first_key]))}

    def after_step(self, progress: Progress) -> None:
        """Eq. 2: the key encoder follows the query encoder."""
        update_momentum(self.encoder, self.key_encoder, self.momentum)
        update_momentum(self.head, self.key_head, self.momentum)
