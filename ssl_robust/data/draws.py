"""Random numbers of one generator, one for each view of a batch."""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """What random views are made of; all numbers lie on the generator's device.

    Args:
        generator: the only source; the same state gives the same numbers.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self._options = {"generator": generator, "device": generator.device}

    def between(self, low: Tensor | float, high: Tensor | float, *, n: int) -> Tensor:
        """(n,) uniform in [low, high)."""
        return low + (high - low) * torch.rand(n, **self._options)

    def around(self, middle: float, width: float, n: int) -> Tensor:
        """(n,) uniform, at most `width` from `middle`."""
        return self.between(middle - width, middle + width, n=n)

    def happens(self, p: float, n: int) -> Tensor:
        """(n,) bool, true with probability `p`."""
        return torch.rand(n, **self._options) < p

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(shape, **self._options)
