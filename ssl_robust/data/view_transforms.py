"""The pieces of a fused, batched augmentation: matrices per sample in, images out; no randomness in here.

Geometry is one 2x3 matrix per view and one `grid_sample`, to which a deformation adds a smooth field; colour is one
3x3 matrix and one offset, a window one factor and one offset, blur one matrix for rows and columns.
Libraries that augment image by image do each of these steps on its own.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# ITU-R BT.601: the luma weights that Pillow and torchvision use for grey.
LUMA = (0.299, 0.587, 0.114)
# Rows Y, I, Q; the chroma rows sum to zero, so a rotation of (I, Q) leaves grey and luma where they are.
_RGB_TO_YIQ = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], dtype=torch.float64)
_YIQ_TO_RGB = torch.linalg.inv(_RGB_TO_YIQ)


def affine_matrices(extent: Tensor, angle: Tensor, center: Tensor, mirror: Tensor) -> Tensor:
    """Crop, rotation and flips of each view -> the matrix from its coordinates to the scan's, both in [-1, 1].

    Args:
        extent: (N, 2) width and height of the crop as a share of the scan's, in (0, 1].
        angle: (N,) radians, counter-clockwise as one sees the view.
        center: (N, 2) x and y of the crop's centre.
        mirror: (N, 2) -1 where the view is flipped along x or y, else 1.

    Returns:
        (N, 2, 3) as `torch.nn.functional.affine_grid` takes it.
    """
    cos, sin = torch.cos(angle), torch.sin(angle)
    width, height = (extent * mirror).unbind(1)
    rows = [cos * width, -sin * height, center[:, 0], sin * width, cos * height, center[:, 1]]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def resample(
    images: Tensor, matrices: Tensor, side: int, *, supersample: int = 1, displacements: Tensor | None = None
) -> Tensor:
    """Crop, rotate, flip, deform and resize in one bilinear look-up.

    What lies outside the scan is its mirror image: black corners would tell the views of one scan, and their
    angles, by their outline; a repeated border would leave streaks.

    Args:
        images: (N, C, H, W) float.
        matrices: (N, 2, 3) from `affine_matrices`.
        side: side of the views in pixels.
        supersample: points along each axis of an output pixel, averaged; more than 1 where views shrink the scan.
        displacements: (N, g, g, 2) of a coarse grid of points from corner to corner of the view, g rows of g points:
            how far along x and y from where it was a point looks, in the view's coordinates [-1, 1].

    Returns:
        (N, C, side, side) float.
    """
    points = side * supersample
    steps = (2 * torch.arange(points, device=images.device, dtype=images.dtype) + 1) / points - 1
    # Written out, since F.affine_grid takes far longer for the same numbers.
    along_x = matrices[:, None, None, :, 0] * steps[None, None, :, None]
    along_y = matrices[:, None, None, :, 1] * steps[None, :, None, None] + matrices[:, None, None, :, 2]
    places = along_x + along_y
    if displacements is not None:
        # Turned and scaled with the view on the coarse grid, which is cheap; interpolation is linear.
        coarse = torch.einsum("nij,nyxj->nyxi", matrices[:, :, :2], displacements)
        places = add_smooth_field(places, coarse)
    views = F.grid_sample(images, places, mode="bilinear", padding_mode="reflection", align_corners=False)
    if supersample > 1:
        views = F.avg_pool2d(views, supersample)
    return views


def add_smooth_field(places: Tensor, coarse: Tensor) -> Tensor:
    """Add a field of vectors that is bicubic between those of a coarse grid.

    The deformation of the U-Net (Ronneberger et al. 2015, arXiv 1505.04597, section 3.1).

    Args:
        places: (N, P, P, 2) contiguous; changed in place.
        coarse: (N, g, g, 2), from corner to corner.

    Returns:
        `places`.
    """
    (n, g), points = coarse.shape[:2], places.shape[1]
    weights = _bicubic_weights(g, points).to(coarse)
    rows = torch.matmul(weights, coarse.reshape(n, g, 2 * g)).view(n * points, 2 * g)
    # Both components of the vectors, and the sum, in one matrix product: a pass over so many numbers costs as much.
    columns = torch.kron(weights, torch.eye(2, dtype=coarse.dtype, device=coarse.device))
    places.view(n * points, 2 * points).addmm_(rows, columns.T)
    return places


def color_matrices(brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Four colour factors of each sample -> one linear map: brightness, contrast, saturation, hue, in this order.

    Brightness and contrast scale all channels alike, so they are the factor of the returned matrix; what contrast
    adds back is `color_offsets`. Hue turns the (I, Q) plane of YIQ, which keeps the luma (HSV's hue does not).

    Args:
        brightness: (N,) factor, 1 = unchanged.
        contrast: (N,) factor, 1 = unchanged.
        saturation: (N,) factor, 1 = unchanged, 0 = grey.
        hue: (N,) turns in [-0.5, 0.5], 0 = unchanged.

    Returns:
        (N, 3, 3), to be multiplied with column vectors (R, G, B).
    """
    like = {"dtype": brightness.dtype, "device": brightness.device}
    luma = torch.tensor(LUMA, **like).expand(3, 3)
    mixed = saturation.view(-1, 1, 1) * torch.eye(3, **like) + (1 - saturation).view(-1, 1, 1) * luma
    cos, sin = torch.cos(2 * math.pi * hue), torch.sin(2 * math.pi * hue)
    one, zero = torch.ones_like(cos), torch.zeros_like(cos)
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=1).view(-1, 3, 3)
    turned = _YIQ_TO_RGB.to(**like) @ turn @ _RGB_TO_YIQ.to(**like)
    return (brightness * contrast).view(-1, 1, 1) * (turned @ mixed)


def color_offsets(views: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """What contrast adds to every channel, (1 - contrast) x mean luma after brightness: (N,)."""
    means = views.mean(dim=(2, 3))
    if views.shape[1] == 3:
        means = means * torch.tensor(LUMA, dtype=views.dtype, device=views.device)
    return (1 - contrast) * brightness * means.sum(dim=1)


def apply_color(views: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:
    """`matrix @ pixel + offset` at every pixel, not clipped.

    Args:
        views: (N, C, H, W) float.
        matrices: (N, C, C).
        offsets: (N,), or (N, C) where each channel has its own.

    Returns:
        (N, C, H, W) float.
    """
    # Plane by plane, which a CPU does faster than a matrix product with so small matrices.
    gains, offsets = matrices[..., None, None], offsets.view(len(views), -1, 1, 1).expand(-1, views.shape[1], 1, 1)
    planes = views.unbind(1)
    mixed = torch.empty_like(views)
    for row, out in enumerate(mixed.unbind(1)):
        torch.addcmul(offsets[:, row], planes[0], gains[:, row, 0], out=out)
        for column in range(1, len(planes)):
            out.addcmul_(planes[column], gains[:, row, column])
    return mixed


def window(views: Tensor, level: Tensor, width: Tensor) -> Tensor:
    """Show other values from black to white, as a radiologist does: what lies outside is clipped.

    Unlike brightness and contrast it moves either end, and what it makes of a pixel depends on no other pixel: contrast
    turns about the mean of the view, which is another one for a crop of lung than for a crop of bone.

    Args:
        views: (N, C, H, W) float in [0, 1].
        level: (N,) value that becomes middle grey, 0.5 = unchanged.
        width: (N,) distance of the value that becomes white from the one that becomes black, 1 = unchanged.

    Returns:
        (N, C, H, W) float in [0, 1].
    """
    gain, offset = 1 / width, 0.5 - level / width
    return torch.addcmul(offset.view(-1, 1, 1, 1), views, gain.view(-1, 1, 1, 1)).clamp_(0, 1)


def gaussian_blur(views: Tensor, sigmas: Tensor, radius: int) -> Tensor:
    """Blur each sample with its own Gaussian, mirrored at the edges.

    Args:
        views: (N, C, S, S) float.
        sigmas: (N,) standard deviations in pixels, > 0.
        radius: the kernel has 2 x radius + 1 taps; cut to the side of the views.

    Returns:
        (N, C, S, S) float, channels_last.

    Raises:
        ValueError: the views are not square.
    """
    n, channels, side, width = views.shape
    if side != width:
        raise ValueError(f"expected square views, got {side} x {width}")
    radius = min(radius, side - 1)
    taps = torch.arange(-radius, radius + 1, dtype=views.dtype, device=views.device)
    kernels = torch.exp(-0.5 * (taps / sigmas.view(-1, 1)) ** 2)
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    # One (side, side) matrix per sample holds kernel and mirrored edges. On CPUs two products with it are
    # faster than a convolution whose groups are samples and channels, whatever the number of taps.
    blurs = torch.matmul(kernels, _mirrored_taps(side, radius).to(views)).view(n, side, side)
    columns = torch.bmm(blurs, views.permute(0, 2, 3, 1).reshape(n, side, side * channels))
    rows = columns.view(n, side, side, channels).transpose(1, 2).reshape(n, side, side * channels)
    return (
        torch.bmm(blurs, rows)
        .view(n, side, side, channels)
        .permute(0, 3, 2, 1)
        .contiguous(memory_format=torch.channels_last)
    )


@cache
def _bicubic_weights(coarse: int, points: int) -> Tensor:
    """(points, coarse): the weight of each point of a coarse line at each of a fine one, both from end to end.

    The middles of the outer pixels stand for the ends; half a pixel is nothing against the coarse grid.
    """
    lines = torch.eye(coarse).view(coarse, 1, coarse, 1)
    return (
        F.interpolate(lines, size=(points, 1), mode="bicubic", align_corners=True).view(coarse, points).T.contiguous()
    )


@cache
def _mirrored_taps(side: int, radius: int) -> Tensor:
    """(2 x radius + 1, side * side): 1 where tap t of the kernel at pixel i falls on pixel j, mirrored at the edges."""
    pixel, taps = torch.arange(side), torch.arange(-radius, radius + 1)
    landing = (pixel + taps[:, None]).abs()
    landing = torch.where(landing < side, landing, 2 * (side - 1) - landing)
    return F.one_hot(landing, side).float().view(len(taps), side * side)
