"""VAE: describe a scan by a few random numbers from which it can be drawn again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, own_rows
from ssl_robust.records import Crop, Progress

_COARSEST = 4  # px, side of the first grid of the decoder


class VAE(Method):
    """Negative evidence lower bound; Kingma and Welling 2013, arXiv 1312.6114, eq. 10, one draw of z (L = 1).

    The likelihood of a value x in [0, 1] (a pixel's channel) is N(x; decoded, pixel_std^2), its constant left out:
    the reconstruction error of a view is sum((x - decoded)^2) / (2 pixel_std^2), the divergence a sum over latents,
    both in nats. With beta = 1 their weighted sum is the bound itself, with another it is that of Higgins et al. 2017,
    eq. 4; only beta * pixel_std^2 decides about the optimum. All is divided by the number of values in a view
    afterwards, so that rates do not depend on the size of the scans.

    Args:
        encoder: what is pretrained.
        crops: one view.
        beta: weight of the divergence from the prior N(0, 1).
        pixel_std: standard deviation of a pixel around what is decoded, full scale = 1.
        latent_dim: how many numbers describe a scan.
        decoder_dim: channels of the decoder at half the view's side; twice as many at each coarser step.
        n_doublings: steps of the decoder, each about twice as fine as the one before.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        beta: float,
        pixel_std: float,
        latent_dim: int,
        decoder_dim: int,
        n_doublings: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        if beta < 0 or pixel_std <= 0:
            raise ValueError(f"expected beta >= 0 and pixel_std > 0, got {beta} and {pixel_std}")
        if n_doublings < 1:
            raise ValueError(f"expected n_doublings of at least 1, got {n_doublings}")
        self.beta, self.pixel_std = beta, pixel_std
        self.mean, self.log_variance = (nn.Linear(encoder.dim, latent_dim) for _ in range(2))
        self.decoder = Decoder(latent_dim, encoder.in_chans, width=decoder_dim, n_doublings=n_doublings)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Means over the views of reconstruction error and divergence, and "loss", their sum; nats per value."""
        features = self.encoder(views[0])
        mean, log_variance = self.mean(features), self.log_variance(features)
        noise = own_rows(lambda n: torch.randn(n, mean.shape[1], device=mean.device), len(mean))
        decoded = self.decoder(mean + (0.5 * log_variance).exp() * noise, side=views[0].shape[-1])
        reconstruction = F.mse_loss(decoded, views[0]) / (2 * self.pixel_std**2)
        divergence = divergence_from_prior(mean, log_variance).mean() / views[0][0].numel()
        loss = reconstruction + self.beta * divergence
        return {"loss": loss, "reconstruction": reconstruction.detach(), "divergence": divergence.detach()}


def divergence_from_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, summed over the latent numbers; appendix B.

    Args:
        mean: (B, L).
        log_variance: (B, L).

    Returns:
        (B,).
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


class Decoder(nn.Module):
    """Latent numbers -> a picture in [0, 1] of any side: a coarse grid, then finer and finer ones.

    Grids are enlarged and convolved, since transposed convolutions leave checkerboards (Odena et al. 2016,
    https://distill.pub/2016/deconv-checkerboard). Batch normalisation is that of the encoder's blocks.

    Args:
        latent_dim: how many numbers come in.
        channels: of the picture.
        width: channels before the last step.
        n_doublings: how many steps.
    """

    def __init__(self, latent_dim: int, channels: int, *, width: int, n_doublings: int) -> None:
        super().__init__()
        widths = [width * 2**step for step in reversed(range(n_doublings))]
        self.first = nn.Linear(latent_dim, widths[0] * _COARSEST**2)
        self.steps = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(before), nn.SiLU(inplace=True), nn.Conv2d(before, after, 3, padding=1))
            for before, after in zip(widths, [*widths[1:], channels], strict=True)
        )

    def forward(self, latents: Tensor, *, side: int) -> Tensor:
        """(B, L) -> (B, C, side, side)."""
        grids = self.first(latents).unflatten(1, (-1, _COARSEST, _COARSEST))
        for remaining, step in zip(reversed(range(len(self.steps))), self.steps, strict=True):
            finer = max(_COARSEST, -(-side // 2**remaining))
            grids = step(F.interpolate(grids, (finer, finer), mode="bilinear", align_corners=False))
        return grids.sigmoid()
