"""Rotation: by which quarter turn was the scan turned?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, encode_together
from ssl_robust.records import Crop, Progress


class Rotation(Method):
    """Cross-entropy of four quarter turns; Gidaris et al. 2018, arXiv 1803.07728, eq. 2 and 3.

    All four copies of a view are in one batch, which the paper found better than one of them at random (section 3.1);
    pixels only change their places, so that no trace of interpolation gives the turn away.

    Args:
        encoder: what is pretrained.
        crops: one view, or more.
    """

    def __init__(self, encoder: Encoder, *, crops: Sequence[Crop]) -> None:
        super().__init__(encoder, crops=crops)
        self.head = nn.Linear(encoder.dim, 4)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Mean over views and turns; chance is log(4) = 1.386."""
        turned = [torch.rot90(view, turns, dims=(2, 3)) for view in views for turns in range(4)]
        scores = self.head(torch.cat(encode_together(self.encoder, turned)))
        turns = torch.arange(4, device=scores.device).repeat_interleave(len(views[0])).repeat(len(views))
        return {"loss": F.cross_entropy(scores, turns), "accuracy": (scores.argmax(1) == turns).float().mean()}
