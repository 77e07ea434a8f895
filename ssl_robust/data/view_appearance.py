"""How the pixels of a view look: stain, light, display, focus and noise, drawn at random for a whole batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ssl_robust.data.draws import Draws
from ssl_robust.data.stain import restain, stain_changes
from ssl_robust.data.view_transforms import apply_color, color_matrices, color_offsets, gaussian_blur, window


class Appearance:
    """The other half of a recipe; its keys are those of `configs/views/scan.yaml`.

    What is off draws no numbers and costs nothing.

    Args:
        channels: 1 or 3.
        stain: `p`, and the half-widths `factor`, of the factors around 1, and `offset`, in optical density, of the
            amounts of haematoxylin and eosin; nothing to grey scans.
        jitter: `p`, the probability, and the half-widths `brightness`, `contrast`, `saturation` of the factors around
            1 and `hue` in turns; saturation and hue do nothing to grey scans.
        grayscale: probability of losing all colour; nothing to grey scans.
        window: `p`, `level`, how far the middle moves, and the range `width`, in shares of the stored values.
        gamma: exponents are drawn from [1 / (1 + gamma), 1 + gamma]; 0 = off.
        blur: `p` and the range `sigma` in pixels of the view.
        noise: `p` and the range `sigma` of Gaussian noise, in units of [0, 1].

    Raises:
        ValueError: a value that cannot be.
    """

    def __init__(
        self,
        *,
        channels: int,
        stain: Mapping[str, float],
        jitter: Mapping[str, float],
        grayscale: float,
        window: Mapping,
        gamma: float,
        blur: Mapping,
        noise: Mapping,
    ) -> None:
        self.colored = channels == 3
        self.stain = {key: float(stain[key]) for key in ("p", "factor", "offset")}
        self.jitter = {key: float(jitter[key]) for key in ("p", "brightness", "contrast", "saturation", "hue")}
        self.grayscale = float(grayscale)
        self.window_p, self.window_level, self.window_width = (
            float(window["p"]), float(window["level"]), _range(window["width"]),
        )  # fmt: skip
        self.log_gamma = math.log1p(gamma)
        self.blur_p, self.blur_sigma = float(blur["p"]), _range(blur["sigma"])
        self.noise_p, self.noise_sigma = float(noise["p"]), _range(noise["sigma"])
        self._check()

    def __call__(self, views: Tensor, draws: Draws) -> Tensor:
        """Change each view in its own way.

        Args:
            views: (N, C, S, S) float in [0, 1]; may be changed in place.
            draws: of the views' device.

        Returns:
            (N, C, S, S) float in [0, 1], channels_last.
        """
        n = len(views)
        if self.colored and self.stain["p"] and len(chosen := draws.happens(self.stain["p"], n).nonzero()[:, 0]):
            views[chosen] = self._restained(views[chosen], draws)
        views = self._recolored(views, draws)
        if self.window_p:
            views = self._windowed(views, draws)
        if self.log_gamma:
            views = views.pow(torch.exp(draws.around(0.0, self.log_gamma, n)).view(-1, 1, 1, 1))
        if self.blur_p and len(chosen := draws.happens(self.blur_p, n).nonzero()[:, 0]):
            sigmas = draws.between(*self.blur_sigma, n=len(chosen))
            views[chosen] = gaussian_blur(views[chosen], sigmas, math.ceil(3 * self.blur_sigma[1]))
        if self.noise_p and len(chosen := draws.happens(self.noise_p, n).nonzero()[:, 0]):
            sigmas = draws.between(*self.noise_sigma, n=len(chosen)).view(-1, 1, 1, 1)
            views[chosen] += sigmas * draws.normal((len(chosen), *views.shape[1:]))
        return views.clamp_(0, 1).contiguous(memory_format=torch.channels_last)

    def _restained(self, views: Tensor, draws: Draws) -> Tensor:
        n = len(views)
        factors = draws.around(1.0, self.stain["factor"], 2 * n).view(n, 2)
        offsets = draws.around(0.0, self.stain["offset"], 2 * n).view(n, 2)
        return restain(views, *stain_changes(factors, offsets))

    def _recolored(self, views: Tensor, draws: Draws) -> Tensor:
        n, jitter = len(views), self.jitter
        if not (jitter["p"] or (self.grayscale and self.colored)):
            return views
        applies = draws.happens(jitter["p"], n)
        names = ("brightness", "contrast", "saturation")
        factors = {name: torch.where(applies, draws.around(1.0, jitter[name], n), 1.0) for name in names}
        hue = torch.where(applies, draws.around(0.0, jitter["hue"], n), 0.0)
        brightness, contrast = factors["brightness"], factors["contrast"]
        if self.colored:
            saturation = torch.where(draws.happens(self.grayscale, n), 0.0, factors["saturation"])
            matrices = color_matrices(brightness, contrast, saturation, hue)
        else:
            matrices = (brightness * contrast).view(-1, 1, 1)
        return apply_color(views, matrices, color_offsets(views, brightness, contrast)).clamp_(0, 1)

    def _windowed(self, views: Tensor, draws: Draws) -> Tensor:
        n = len(views)
        applies = draws.happens(self.window_p, n)
        level = torch.where(applies, draws.around(0.5, self.window_level, n), 0.5)
        narrow, wide = (math.log(width) for width in self.window_width)
        # Even in the logarithm: half as wide is as likely as twice as wide.
        width = torch.where(applies, torch.exp(draws.between(narrow, wide, n=n)), 1.0)
        return window(views, level, width)

    def _check(self) -> None:
        """Name the first setting that cannot be, rather than train on odd views."""
        probabilities = {"stain.p": self.stain["p"], "jitter.p": self.jitter["p"], "grayscale": self.grayscale,
                         "window.p": self.window_p, "blur.p": self.blur_p, "noise.p": self.noise_p}  # fmt: skip
        for name, p in probabilities.items():
            if not 0 <= p <= 1:
                raise ValueError(f"expected {name} to be a probability in [0, 1], got {p}")
        if self.window_width[0] <= 0:
            raise ValueError(f"expected window.width > 0, got {self.window_width}")
        if self.blur_p and self.blur_sigma[0] <= 0:
            raise ValueError(f"expected blur.sigma > 0 (or blur.p: 0 to switch it off), got {self.blur_sigma}")


def _range(pair: Sequence[float]) -> tuple[float, float]:
    low, high = pair
    return float(low), float(high)
