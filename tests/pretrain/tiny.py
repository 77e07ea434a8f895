"""The smallest encoder, views of four by four pixels and a method around them: what a loss needs to be written out."""

import torch
from torch import nn

from ssl_robust import settings
from ssl_robust.pretrain.method import build_method
from ssl_robust.records import Progress

B, DIM = 6, 12
START = Progress(0, 100, 0, 10)
MULTI_CROP = [{"n": 2, "size": 1.0}, {"n": 3, "size": 0.5}]


class TinyEncoder(nn.Module):
    """Means over the rows of a view -> features; enough for the heads."""

    dim, timm = DIM, nn.Identity()

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, DIM)

    def forward(self, images):
        return self.linear(images.mean(dim=2).flatten(1))


def make(name, **values):
    torch.manual_seed(0)
    method = build_method({**settings.defaults("method", name), **values}, TinyEncoder())
    views = [torch.rand(B, 3, 4, 4) for _ in range(method.n_views)]
    return method, views
