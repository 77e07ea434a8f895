"""Where the pixels of a view come from: crop, rotation, flips and deformation, drawn at random for a whole batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ssl_robust.data.draws import Draws
from ssl_robust.data.view_transforms import affine_matrices, resample


class Geometry:
    """The geometric half of a recipe; its keys are those of `configs/views/scan.yaml`.

    Args:
        flip: `horizontal` and `vertical`, the probability of each.
        rotation: largest angle in degrees, to either side; 180 = any.
        aspect: largest ratio of the sides of the region that a crop shows; 1 = square.
        elastic: `strength`, the standard deviation of displacements as a share of the view's side, 0 = off, and
            `grid`, the points along each side that are displaced; between them the field is smooth.

    Raises:
        ValueError: a value that cannot be.
    """

    def __init__(
        self, *, flip: Mapping[str, float], rotation: float, aspect: float, elastic: Mapping[str, float]
    ) -> None:
        self.flip = (float(flip["horizontal"]), float(flip["vertical"]))
        if any(not 0 <= p <= 1 for p in self.flip):
            raise ValueError(f"expected flip to hold probabilities in [0, 1], got {self.flip}")
        self.rotation = math.radians(rotation)
        if not aspect >= 1:
            raise ValueError(f"expected aspect >= 1 (the longer side over the shorter one), got {aspect}")
        self.log_aspect = math.log(aspect)
        self.strength, self.grid = float(elastic["strength"]), int(elastic["grid"])
        if self.grid < 2 or not 0 <= self.strength * (self.grid - 1) <= 0.1:
            raise ValueError(
                "expected elastic.grid >= 2 and elastic.strength from 0 to a tenth of the distance between its points "
                f"(stronger ones fold the scan over itself), got {dict(elastic)}"
            )

    def __call__(self, images: Tensor, side: int, scales: Sequence[tuple[float, float]], draws: Draws) -> Tensor:
        """Scans -> all views of one size.

        Args:
            images: (B, C, S, S) float.
            side: of the views, in pixels.
            scales: smallest and largest share of the scan that each view shows.
            draws: of the images' device.

        Returns:
            (len(scales) * B, C, side, side), view after view.
        """
        batch, n = len(images), len(images) * len(scales)
        limits = torch.tensor(scales).repeat_interleave(batch, dim=0)
        area = draws.between(*limits.to(images.device).unbind(1), n=n)
        ratio = torch.exp(draws.around(0.0, self.log_aspect, n))
        # A region as wide as the scan has no room for its aspect: the side is cut, as in RandomResizedCrop's fallback.
        extent = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp_(max=1.0)
        center = torch.stack([draws.around(0.0, 1.0, n), draws.around(0.0, 1.0, n)], dim=1) * (1 - extent)
        angle = draws.around(0.0, self.rotation, n)
        mirror = torch.stack([1 - 2 * draws.happens(p, n).float() for p in self.flip], dim=1)
        shrink = max(math.sqrt(largest) for _, largest in scales) * images.shape[-1] / side
        return resample(
            torch.cat([images] * len(scales)),  # repeat() would lose channels_last
            affine_matrices(extent, angle, center, mirror),
            side,
            # A bilinear look-up of two pixels aliases once more than about 1.5 of them fall into one.
            supersample=round(shrink) if shrink > 1.5 else 1,
            displacements=self._displacements(n, draws),
        )

    def _displacements(self, n: int, draws: Draws) -> Tensor | None:
        if not self.strength:
            return None
        return 2 * self.strength * draws.normal((n, self.grid, self.grid, 2))  # a side is 2 units long
