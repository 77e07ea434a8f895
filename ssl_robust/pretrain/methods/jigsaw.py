"""Jigsaw: in which order do the tiles of a cut-up scan lie?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, own_rows
from ssl_robust.pretrain.ordering import OrderHead, encode_tiles
from ssl_robust.records import Crop, Progress


class Jigsaw(Method):
    """Cross-entropy of the order of a grid's tiles; Noroozi and Favaro 2016, arXiv 1603.09246.

    A tile is smaller than its cell of the grid and lies anywhere in it, so that edges which continue from tile to tile
    do not solve the puzzle (section 4.2).

    Args:
        encoder: what is pretrained.
        crops: one view.
        grid: tiles along each side.
        tile: side of a tile as a share of that of its cell.
        least_side: smaller tiles are enlarged to so many pixels.
        n_orders: how many orders are told apart.
        hidden_dim: width of the head.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        grid: int,
        tile: float,
        least_side: int,
        n_orders: int,
        hidden_dim: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        if not 0 < tile <= 1:
            raise ValueError(f"expected tile, a share of its cell's side, in (0, 1], got {tile}")
        self.grid, self.tile, self.least_side = grid, tile, least_side
        self.head = OrderHead(encoder.dim, n_tiles=grid**2, n_orders=n_orders, hidden_dim=hidden_dim)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Chance is log(n_orders)."""
        places = own_rows(lambda n: torch.rand(n, self.grid**2, 2, device=views[0].device), len(views[0]))
        tiles = cut_tiles(views[0], places, grid=self.grid, tile=self.tile)
        return self.head(encode_tiles(self.encoder, tiles, self.least_side))


def cut_tiles(views: Tensor, places: Tensor, *, grid: int, tile: float) -> Tensor:
    """One tile of each cell of a grid, row by row; whole pixels, so that nothing is blurred by its place.

    Args:
        views: (B, C, H, W).
        places: (B, grid * grid, 2) in [0, 1): where in its cell a tile lies, down and across.
        grid: cells along each side; pixels that are left over are cut off at the end.
        tile: side of a tile as a share of its cell's.

    Returns:
        (B, grid * grid, C, S, S).
    """
    cell = views.shape[-1] // grid
    side = max(1, round(tile * cell))
    cells = views[:, :, : grid * cell, : grid * cell].unflatten(3, (grid, cell)).unflatten(2, (grid, cell))
    cells = cells.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (B, grid * grid, C, cell, cell)
    first = (places * (cell - side + 1)).long()[..., None, None]
    rows, columns = (first + torch.arange(side, device=views.device)).unbind(2)  # each (B, grid * grid, 1, S)
    channels = cells.shape[2]
    kept = cells.gather(3, rows[..., None].expand(-1, -1, channels, -1, cell))
    return kept.gather(4, columns[..., None, :].expand(-1, -1, channels, side, -1))
