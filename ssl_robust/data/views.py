"""Random views of a batch of scans, made on the device that trains: the hot path of self-supervised pretraining.

A recipe (`configs/views/*.yaml`) says how scans may vary in orientation and shape (`view_geometry`) and in appearance
(`view_appearance`); the method says which crops it wants. All views of one size are made in one batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ssl_robust.data.draws import Draws
from ssl_robust.data.pixels import to_unit
from ssl_robust.data.view_appearance import Appearance
from ssl_robust.data.view_geometry import Geometry
from ssl_robust.records import Crop

_SMALLEST_SIDE = 24  # px; of less, a network of stride 32 makes a single pixel before its last stage
# Pixel values that are worked on at once on a CPU: 4 MB of float32 stay in its cache, which doubles the speed.
_CPU_CHUNK = 2**20


class Views:
    """Batched random views; every draw comes from the generator that the call is given.

    The keys after `channels` are those of `configs/views/scan.yaml`, where each value is argued.

    Args:
        crops: the kinds of views a method asks for.
        image_size: side of a view of size 1.0, in pixels.
        channels: 1 or 3.
        smallest_crop: a crop without a scale of its own shows between this share of the scan and all of it.
        flip: see `Geometry`, as for `rotation`, `aspect` and `elastic`.
        rotation: see `Geometry`.
        aspect: see `Geometry`.
        elastic: see `Geometry`.
        appearance: the other keys of a recipe, see `Appearance`.

    Raises:
        ValueError: no crop at all, or a crop, probability or range that cannot be.
    """

    def __init__(
        self,
        *,
        crops: Sequence[Crop],
        image_size: int,
        channels: int,
        smallest_crop: float,
        flip: Mapping[str, float],
        rotation: float,
        aspect: float,
        elastic: Mapping[str, float],
        **appearance: Any,
    ) -> None:
        self.crops = tuple(crops)
        self.channels = channels
        self._scales = [crop.scale or (smallest_crop, 1.0) for crop in self.crops for _ in range(crop.n)]
        self._check()
        self._geometry = Geometry(flip=flip, rotation=rotation, aspect=aspect, elastic=elastic)
        self._appearance = Appearance(channels=channels, **appearance)
        # side in pixels -> the places of its views in the list that a call returns
        self._places: dict[int, list[int]] = {}
        of_place = [crop for crop in self.crops for _ in range(crop.n)]
        for place, crop in enumerate(of_place):
            self._places.setdefault(_side(crop, image_size), []).append(place)

    @property
    def n_views(self) -> int:
        """How many views a call returns."""
        return len(self._scales)

    @property
    def smallest_side(self) -> int:
        """Side in pixels of the smallest views."""
        return min(self._places)

    def __call__(self, images: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Scans -> their views, in the order of the crops.

        Args:
            images: (B, C, S, S) uint8, uint16 or float in [0, 1].
            generator: of the images' device; the same state gives the same views.

        Returns:
            `n_views` tensors (B, C, side, side), float32 in [0, 1], channels_last; side = `image_size` for a crop of
            size 1.0, else that share of it, rounded to a multiple of 8, at least 24 and at most `image_size`.

        Raises:
            ValueError: wrong channels, not square, or a generator of another device.
        """
        if images.ndim != 4 or images.shape[1] != self.channels or images.shape[2] != images.shape[3]:
            raise ValueError(f"expected square images of shape (B, {self.channels}, S, S), got {tuple(images.shape)}")
        if generator.device.type != images.device.type:
            raise ValueError(f"the generator is on {generator.device}, the images are on {images.device}")
        draws = Draws(generator)
        views: dict[int, Tensor] = {}
        for side, places in self._places.items():
            values_per_scan = self.channels * len(places) * max(side, images.shape[-1]) ** 2
            at_once = _CPU_CHUNK // values_per_scan if images.device.type == "cpu" else len(images)
            chunks = [self._make(chunk, side, places, draws) for chunk in images.split(max(1, at_once))]
            for place, parts in zip(places, zip(*chunks, strict=True), strict=True):
                views[place] = torch.cat(parts)
        return [views[place] for place in range(self.n_views)]

    def _make(self, images: Tensor, side: int, places: list[int], draws: Draws) -> tuple[Tensor, ...]:
        views = self._geometry(to_unit(images), side, [self._scales[place] for place in places], draws)
        return self._appearance(views, draws).split(len(images))

    def _check(self) -> None:
        """Name the first setting that cannot be, rather than train on odd views."""
        if not self.crops or any(crop.n < 1 or crop.size <= 0 for crop in self.crops):
            raise ValueError(f"expected at least one crop, each with n >= 1 and size > 0, got {self.crops}")
        if any(not 0 < low <= high <= 1 for low, high in self._scales):
            raise ValueError(
                f"expected 0 < smallest_crop <= 1 and crops with 0 < scale[0] <= scale[1] <= 1, got {self._scales}"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"expected channels of 1 or 3, got {self.channels}")


def _side(crop: Crop, image_size: int) -> int:
    """Side of a view in pixels; a whole one is as large as the scans that the encoder sees without augmentation."""
    if crop.size == 1:
        return image_size
    return min(image_size, max(_SMALLEST_SIDE, math.floor(crop.size * image_size / 8 + 0.5) * 8))
