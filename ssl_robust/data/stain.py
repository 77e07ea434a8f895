"""Stains of histology: Beer-Lambert absorption by haematoxylin and eosin, and how views vary it.

A stain of amount c along a direction s lets 10^(-c s) of the light through, so amounts are linear in the optical
density -log10(pixel), and a change of them is one 3 x 3 matrix and one shift there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ssl_robust.data.view_transforms import apply_color

# Optical density in red, green and blue of one unit of a stain: Ruifrok and Johnston 2001, Anal Quant Cytol Histol 23.
HEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)
_DARKEST = 1e-3  # of the light: no scanner sees through an optical density above 3


def _basis() -> Tensor:
    """(3, 3), columns of length 1: haematoxylin, eosin, and the direction at right angles to both."""
    stains = torch.tensor([HEMATOXYLIN, EOSIN], dtype=torch.float64)
    rest = torch.linalg.cross(stains[0], stains[1])
    basis = torch.cat([stains, rest[None]])
    return (basis / basis.norm(dim=1, keepdim=True)).T


def stain_changes(factors: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and offset of each stain -> one affine map of optical densities; what neither stain explains stays.

    Stain augmentation of Tellez et al. 2018, arXiv 1808.05896: amounts c become factor x c + offset. They change a
    third stain, too; here the third direction holds pigment, ink and noise, which no staining protocol varies.

    Args:
        factors: (N, 2) of haematoxylin and eosin, 1 = unchanged.
        offsets: (N, 2) added to their amounts, in optical density, 0 = unchanged.

    Returns:
        matrices (N, 3, 3) and shifts (N, 3), for column vectors of optical densities.
    """
    basis = _basis()
    back = torch.linalg.inv(basis).to(factors)
    basis = basis.to(factors)
    all_factors = torch.cat([factors, torch.ones_like(factors[:, :1])], dim=1)
    return basis * all_factors[:, None] @ back, offsets @ basis[:, :2].T


def restain(views: Tensor, matrices: Tensor, shifts: Tensor) -> Tensor:
    """Apply maps of optical densities to images.

    Args:
        views: (N, 3, H, W) float in [0, 1], share of the light that comes through.
        matrices: (N, 3, 3) from `stain_changes`.
        shifts: (N, 3) from `stain_changes`.

    Returns:
        (N, 3, H, W) float in [0, 1].
    """
    # In powers of two, which are computed fastest; a shift of 1 in optical density is log2(10) of them.
    transmitted = views.clamp(min=_DARKEST).log2_()
    return apply_color(transmitted, matrices, -math.log2(10) * shifts).exp2_().clamp_(max=1)
