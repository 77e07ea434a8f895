"""JigMag: in which order do tiles of one place lie, each at another magnification?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method
from ssl_robust.pretrain.ordering import OrderHead, encode_tiles
from ssl_robust.records import Crop, Progress


class JigMag(Method):
    """Cross-entropy of the order of magnifications; Koohbanani et al. 2020, Self-Path, arXiv 2008.05571.

    The paper's tiles come from the levels of a slide, each as sharp as the others. Here they are cut out of one view,
    and the wide ones lose pixels until they have as few as the narrowest, else resolution alone would tell the order.
    It still hints at it where a scan is smoother than its pixels are fine. As in `Jigsaw`, the encoder sees the tiles
    one by one.

    Args:
        encoder: what is pretrained.
        crops: one view.
        magnifications: of each tile, 1 = all of the view.
        least_side: smaller tiles are enlarged to so many pixels.
        hidden_dim: width of the head.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        magnifications: Sequence[float],
        least_side: int,
        hidden_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        if min(magnifications) < 1 or len(set(magnifications)) < len(magnifications):
            raise ValueError(f"expected different magnifications, each at least 1, got {list(magnifications)}")
        self.magnifications, self.least_side = tuple(magnifications), least_side
        n_tiles = len(self.magnifications)
        n_orders = math.factorial(n_tiles)
        self.head = OrderHead(encoder.dim, n_tiles=n_tiles, n_orders=n_orders, hidden_dim=hidden_dim)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Chance is log(T!) for T magnifications."""
        return self.head(encode_tiles(self.encoder, magnify(views[0], self.magnifications), self.least_side))


def magnify(views: Tensor, magnifications: Sequence[float]) -> Tensor:
    """Tiles around the middle of each view, all of as many pixels as the narrowest of them has by nature.

    Args:
        views: (B, C, S, S).
        magnifications: T numbers; a tile shows 1 / magnification of the view's side.

    Returns:
        (B, T, C, S', S') with S' = S / the largest magnification.
    """
    margins = [round(views.shape[-1] * (1 - 1 / magnification) / 2) for magnification in magnifications]
    side = views.shape[-1] - 2 * max(margins)
    tiles = [views[:, :, margin : views.shape[-2] - margin, margin : views.shape[-1] - margin] for margin in margins]
    # Antialiased: pixels that are merely left out would leave a pattern of their own.
    return torch.stack([F.interpolate(tile, (side, side), mode="bilinear", antialias=True) for tile in tiles], dim=1)
