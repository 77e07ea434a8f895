"""Random views of a batch of scans, made on the device that trains: the hot path of self-supervised pretraining.

A recipe (`configs/views/*.yaml`) says how scans may vary in appearance and orientation; the method says which crops
it wants. All views of one size are made in one batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ssl_robust.data.pixels import to_unit
from ssl_robust.data.view_transforms import (
    affine_matrices,
    apply_color,
    color_matrices,
    color_offsets,
    gaussian_blur,
    resample,
)
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
        flip: `horizontal` and `vertical`, the probability of each.
        smallest_crop: a crop without a scale of its own shows between this share of the scan and all of it.
        rotation: largest angle in degrees, to either side; 180 = any.
        aspect: largest ratio of the sides of the region that a crop shows; 1 = square.
        jitter: `p`, the probability, and the half-widths `brightness`, `contrast`, `saturation` of the factors around
            1 and `hue` in turns; saturation and hue do nothing to grey scans.
        gamma: exponents are drawn from [1 / (1 + gamma), 1 + gamma]; 0 = off.
        grayscale: probability of losing all colour; nothing to grey scans.
        blur: `p` and the range `sigma` in pixels of the view.
        noise: `p` and the range `sigma` of Gaussian noise, in units of [0, 1].

    Raises:
        ValueError: no crop at all, or a crop, probability or range that cannot be.
    """

    def __init__(
        self,
        *,
        crops: Sequence[Crop],
        image_size: int,
        channels: int,
        flip: Mapping[str, float],
        smallest_crop: float,
        rotation: float,
        aspect: float,
        jitter: Mapping[str, float],
        gamma: float,
        grayscale: float,
        blur: Mapping,
        noise: Mapping,
    ) -> None:
        self.crops = tuple(crops)
        self._scales = [crop.scale or (smallest_crop, 1.0) for crop in self.crops for _ in range(crop.n)]
        self.channels = channels
        self.flip = (float(flip["horizontal"]), float(flip["vertical"]))
        self.rotation = math.radians(rotation)
        self.log_aspect = math.log(aspect) if aspect >= 1 else math.nan
        self.jitter = {key: float(jitter[key]) for key in ("p", "brightness", "contrast", "saturation", "hue")}
        self.log_gamma = math.log1p(gamma)
        self.grayscale = float(grayscale)
        self.blur_p, self.blur_sigma = float(blur["p"]), _range(blur["sigma"])
        self.noise_p, self.noise_sigma = float(noise["p"]), _range(noise["sigma"])
        self._check()
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
        draw = _Draw(generator)
        views: dict[int, Tensor] = {}
        for side, places in self._places.items():
            values_per_scan = self.channels * len(places) * max(side, images.shape[-1]) ** 2
            at_once = _CPU_CHUNK // values_per_scan if images.device.type == "cpu" else len(images)
            chunks = [self._make(chunk, side, places, draw) for chunk in images.split(max(1, at_once))]
            for place, parts in zip(places, zip(*chunks, strict=True), strict=True):
                views[place] = torch.cat(parts)
        return [views[place] for place in range(self.n_views)]

    def _make(self, images: Tensor, side: int, places: list[int], draw: _Draw) -> tuple[Tensor, ...]:
        views = self._geometry(to_unit(images), side, places, draw)
        return self._appearance(views, draw).split(len(images))

    def _geometry(self, images: Tensor, side: int, places: list[int], draw: _Draw) -> Tensor:
        """All views of one side: (len(places) * B, C, side, side), view after view."""
        batch, n = len(images), len(images) * len(places)
        scales = torch.tensor([self._scales[place] for place in places]).repeat_interleave(batch, dim=0)
        area = draw.between(*scales.to(images.device).unbind(1), n=n)
        ratio = torch.exp(draw.around(0.0, self.log_aspect, n))
        # A region as wide as the scan has no room for its aspect: the side is cut, as in RandomResizedCrop's fallback.
        extent = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp_(max=1.0)
        center = torch.stack([draw.around(0.0, 1.0, n), draw.around(0.0, 1.0, n)], dim=1) * (1 - extent)
        angle = draw.around(0.0, self.rotation, n)
        mirror = torch.stack([1 - 2 * draw.happens(p, n).float() for p in self.flip], dim=1)
        shrink = max(math.sqrt(self._scales[place][1]) for place in places) * images.shape[-1] / side
        return resample(
            torch.cat([images] * len(places)),  # repeat() would lose channels_last
            affine_matrices(extent, angle, center, mirror),
            side,
            # A bilinear look-up of two pixels aliases once more than about 1.5 of them fall into one.
            supersample=round(shrink) if shrink > 1.5 else 1,
        )

    def _appearance(self, views: Tensor, draw: _Draw) -> Tensor:
        n = len(views)
        views = self._recolor(views, draw)
        if self.log_gamma:
            views = views.pow(torch.exp(draw.around(0.0, self.log_gamma, n)).view(-1, 1, 1, 1))
        if self.blur_p and len(chosen := draw.happens(self.blur_p, n).nonzero()[:, 0]):
            sigmas = draw.between(*self.blur_sigma, n=len(chosen))
            views[chosen] = gaussian_blur(views[chosen], sigmas, math.ceil(3 * self.blur_sigma[1]))
        if self.noise_p and len(chosen := draw.happens(self.noise_p, n).nonzero()[:, 0]):
            sigmas = draw.between(*self.noise_sigma, n=len(chosen)).view(-1, 1, 1, 1)
            views[chosen] += sigmas * draw.normal((len(chosen), *views.shape[1:]))
        return views.clamp_(0, 1).contiguous(memory_format=torch.channels_last)

    def _recolor(self, views: Tensor, draw: _Draw) -> Tensor:
        n, jitter = len(views), self.jitter
        colored = self.channels == 3
        if not (jitter["p"] or (self.grayscale and colored)):
            return views
        applies = draw.happens(jitter["p"], n)
        names = ("brightness", "contrast", "saturation")
        factors = {name: torch.where(applies, draw.around(1.0, jitter[name], n), 1.0) for name in names}
        hue = torch.where(applies, draw.around(0.0, jitter["hue"], n), 0.0)
        brightness, contrast = factors["brightness"], factors["contrast"]
        if colored:
            saturation = torch.where(draw.happens(self.grayscale, n), 0.0, factors["saturation"])
            matrices = color_matrices(brightness, contrast, saturation, hue)
        else:
            matrices = (brightness * contrast).view(-1, 1, 1)
        return apply_color(views, matrices, color_offsets(views, brightness, contrast)).clamp_(0, 1)

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
        if math.isnan(self.log_aspect):
            raise ValueError("expected aspect >= 1 (the longer side over the shorter one)")
        probabilities = {"flip": max(self.flip), "jitter.p": self.jitter["p"], "grayscale": self.grayscale,
                         "blur.p": self.blur_p, "noise.p": self.noise_p}  # fmt: skip
        for name, p in probabilities.items():
            if not 0 <= p <= 1:
                raise ValueError(f"expected {name} to be a probability in [0, 1], got {p}")
        if self.blur_p and self.blur_sigma[0] <= 0:
            raise ValueError(f"expected blur.sigma > 0 (or blur.p: 0 to switch it off), got {self.blur_sigma}")


class _Draw:
    """Random numbers from one generator, on its device."""

    def __init__(self, generator: torch.Generator) -> None:
        self._options = {"generator": generator, "device": generator.device}

    def between(self, low: Tensor | float, high: Tensor | float, *, n: int) -> Tensor:
        return low + (high - low) * torch.rand(n, **self._options)

    def around(self, middle: float, width: float, n: int) -> Tensor:
        return self.between(middle - width, middle + width, n=n)

    def happens(self, p: float, n: int) -> Tensor:
        return torch.rand(n, **self._options) < p

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, **self._options)


def _side(crop: Crop, image_size: int) -> int:
    """Side of a view in pixels; a whole one is as large as the scans that the encoder sees without augmentation."""
    if crop.size == 1:
        return image_size
    return min(image_size, max(_SMALLEST_SIDE, math.floor(crop.size * image_size / 8 + 0.5) * 8))


def _range(pair: Sequence[float]) -> tuple[float, float]:
    low, high = pair
    return float(low), float(high)
