"""DenseCL: like MoCo, and each place of one view finds its like in the other view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from lightly.models.modules.heads import DenseCLProjectionHead
from lightly.models.modules.memory_bank import MemoryBankModule
from lightly.models.utils import select_most_similar, update_momentum
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method
from ssl_robust.pretrain.momentum import frozen_copy
from ssl_robust.records import Crop, Progress
from ssl_robust.run import UserError

_FEWEST_PLACES = 9  # 3 x 3; on less, nearly every place of a view is the like of every other


class _Views(NamedTuple):
    """What an encoder and its heads make of views.

    Attributes:
        whole: (B, D) projections of the pooled features.
        places: (B, P, D) projections of the feature map.
        features: (B, P, C) the feature map itself, by which places are matched.
    """

    whole: Tensor
    places: Tensor
    features: Tensor


class DenseCL(Method):
    """InfoNCE of whole views and of their places; Wang et al. 2021, arXiv 2011.09157, eq. 1 to 3.

    Both views serve as query and as key, as in `MoCo` here. Batch normalisation sees the scans of all devices, so keys
    need not be shuffled between them.

    Args:
        encoder: what is pretrained; its feature map must be more than a few places.
        crops: two views.
        temperature: tau of eq. 1 and 2.
        queue_size: how many keys of earlier scans are negatives, whole ones and mean places alike.
        momentum: by which the key encoder stays what it was.
        dense_weight: lambda of eq. 3.
        hidden_dim: width of the projection heads.
        output_dim: dimensions in which views and places are compared.

    Raises:
        UserError: the feature map is too small.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        temperature: float,
        queue_size: int,
        momentum: float,
        dense_weight: float,
        hidden_dim: int,
        output_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        self.temperature, self.momentum, self.dense_weight = temperature, momentum, dense_weight
        channels = _channels_of_map(encoder, self.crops)
        self.head = DenseCLProjectionHead(encoder.dim, hidden_dim, output_dim)
        self.dense_head = DenseCLProjectionHead(channels, hidden_dim, output_dim)
        self.key_encoder = frozen_copy(encoder)
        self.key_head, self.key_dense_head = frozen_copy(self.head), frozen_copy(self.dense_head)
        self.queue, self.dense_queue = (
            MemoryBankModule((queue_size, output_dim), gather_distributed=True) for _ in range(2)
        )
        # lightly keeps the queues out of the state dict; a resumed run needs them.
        for queue in (self.queue, self.dense_queue):
            for name in ("bank", "bank_ptr"):
                queue.register_buffer(name, getattr(queue, name))

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Eq. 3: (1 - lambda) times the loss of the whole views and lambda times that of their places."""
        query = _look(torch.cat(views), self.encoder, self.head, self.dense_head)
        with torch.no_grad():
            key = _look(torch.cat(views[::-1]), self.key_encoder, self.key_head, self.key_dense_head)
            matched = select_most_similar(query.features, key.features, key.places)
        whole = self._contrast(query.whole, key.whole, self.queue, key.whole)
        dense = self._contrast(query.places.flatten(0, 1), matched.flatten(0, 1), self.dense_queue, key.places.mean(1))
        return {"loss": (1 - self.dense_weight) * whole + self.dense_weight * dense}

    def after_step(self, progress: Progress) -> None:
        """The key encoder follows."""
        update_momentum(self.encoder, self.key_encoder, self.momentum)
        update_momentum(self.head, self.key_head, self.momentum)
        update_momentum(self.dense_head, self.key_dense_head, self.momentum)

    def _contrast(self, queries: Tensor, keys: Tensor, queue: MemoryBankModule, new: Tensor) -> Tensor:
        """InfoNCE of (N, D) queries with their keys against the queue, which then takes in the new ones."""
        queries, keys = F.normalize(queries, dim=1), F.normalize(keys, dim=1)
        _, negatives = queue(F.normalize(new, dim=1), update=True)
        scores = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ negatives], dim=1) / self.temperature
        return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long, device=scores.device))


def _look(views: Tensor, encoder: Encoder, head: nn.Module, dense_head: nn.Module) -> _Views:
    pooled, grid = encoder.pooled_and_map(views)
    features = grid.flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, P, C)
    return _Views(head(pooled), dense_head(features), features)


@torch.no_grad()
def _channels_of_map(encoder: Encoder, crops: Sequence[Crop]) -> int:
    """Channels of the feature map of a view."""
    training, side = encoder.training, max(24, int(crops[0].size * encoder.input_size))
    view = torch.zeros(1, encoder.in_chans, side, side)
    channels, height, width = encoder.eval().feature_map(view).shape[1:]
    encoder.train(training)
    if height * width < _FEWEST_PLACES:
        stride = 16 if side >= 48 else 8  # of three places in a row
        raise UserError(
            f"method=densecl compares places, and encoder={encoder.name} makes {height} x {width} of a view of {side} "
            f"px; take encoder_args.output_stride={stride} or data.image_size=128"
        )
    return channels
