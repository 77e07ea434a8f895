"""In which order do the tiles of a scan lie? The tiles' features, the orders that are told apart, and the question."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import own_rows

_MOST_TILES = 9  # all orders of ten would take 36 MB and seconds
_LEAST_CONTRAST = 0.01  # of the full scale; the noise of an empty corner is not blown up further


@cache
def distant_orders(n_tiles: int, n_orders: int) -> np.ndarray:
    """Orders of tiles that differ from one another in as many places as possible.

    Greedy and without chance: the order as it is comes first, then always the one whose smallest Hamming distance to
    those chosen is largest; algorithm 1 of Noroozi and Favaro 2016, arXiv 1603.09246, which begins anywhere and asks
    for the largest mean distance. That decides between equals here: by itself it lets in orders that are nearly alike.

    Args:
        n_tiles: T, 2 to 9.
        n_orders: at most T!.

    Returns:
        (n_orders, T) int64, each row a permutation of 0 … T - 1; read-only, since it is kept.

    Raises:
        ValueError: there are not so many orders, or too many to look at.
    """
    if not 2 <= n_tiles <= _MOST_TILES:
        raise ValueError(f"expected 2 to {_MOST_TILES} tiles, got {n_tiles}")
    n_all = math.factorial(n_tiles)
    if not 2 <= n_orders <= n_all:
        raise ValueError(f"expected 2 to {n_all} orders of {n_tiles} tiles, got {n_orders}")
    flat = itertools.chain.from_iterable(itertools.permutations(range(n_tiles)))
    everything = np.fromiter(flat, dtype=np.int8, count=n_all * n_tiles)
    places = np.ascontiguousarray(everything.reshape(n_all, n_tiles).T)  # orders are columns, compared place by place
    chosen = [0]
    nearest, total = np.full(n_all, n_tiles), np.zeros(n_all, dtype=int)
    while len(chosen) < n_orders:
        distances = (places != places[:, chosen[-1:]]).sum(axis=0, dtype=np.int8)
        nearest, total = np.minimum(nearest, distances), total + distances
        chosen.append(int(np.argmax(nearest * (n_orders * n_tiles + 1) + total)))
    result = places[:, chosen].T.astype(np.int64)
    result.flags.writeable = False
    return result


def encode_tiles(encoder: Encoder, tiles: Tensor, least_side: int) -> Tensor:
    """Features of each tile, which the encoder sees one by one, all with the same brightness and contrast.

    "We normalize the mean and the standard deviation of each patch independently" (arXiv 1603.09246, section 4.2):
    neighbours are known by them. They become those of the set, for which the encoder is made.

    Args:
        encoder: what is pretrained.
        tiles: (B, T, C, S, S) in [0, 1].
        least_side: pixels; smaller tiles are enlarged, so that enough of them reaches the encoder's last stage.

    Returns:
        (B, T, D).
    """
    single = tiles.flatten(0, 1)
    deviation, mean = torch.std_mean(single, dim=(2, 3), keepdim=True, correction=0)
    single = (single - mean) / deviation.clamp(min=_LEAST_CONTRAST)
    if single.shape[-1] < least_side:
        single = F.interpolate(single, (least_side, least_side), mode="bilinear", align_corners=False)
    features = encoder(single * encoder.std_buffer + encoder.mean_buffer)
    return features.unflatten(0, tiles.shape[:2])


class OrderHead(nn.Module):
    """Features of tiles -> how well one can tell in which order they were laid out.

    The features are shuffled in place of the tiles, which is the same, as the encoder sees each tile on its own.

    Args:
        dim: D, features of a tile.
        n_tiles: T.
        n_orders: how many orders are told apart; chance is log(n_orders).
        hidden_dim: width of the hidden layer, which sees all tiles.
    """

    orders: Tensor

    def __init__(self, dim: int, *, n_tiles: int, n_orders: int, hidden_dim: int) -> None:
        super().__init__()
        self.register_buffer("orders", torch.tensor(distant_orders(n_tiles, n_orders)))
        self.layers = nn.Sequential(
            nn.Linear(n_tiles * dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, n_orders),
        )

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Lay out each scan's tiles in an order drawn for it; "loss" is the cross-entropy, beside the "accuracy".

        Args:
            features: (B, T, D), the tiles in their own order.
        """
        drawn = own_rows(lambda n: torch.randint(len(self.orders), (n,), device=features.device), len(features))
        scores = self.layers(lay_out(features, self.orders[drawn]).flatten(1))
        return {"loss": F.cross_entropy(scores, drawn), "accuracy": (scores.argmax(1) == drawn).float().mean()}


def lay_out(features: Tensor, orders: Tensor) -> Tensor:
    """(B, T, D) features and (B, T) orders -> features of which number t is that of tile `orders[:, t]`."""
    return features.gather(1, orders[:, :, None].expand_as(features))
