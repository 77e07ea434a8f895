"""Stored integers -> the unit interval that every model and every view works in."""

from __future__ import annotations

import torch
from torch import Tensor

_FULL_SCALE = {torch.uint8: 255.0, torch.uint16: 65535.0}


def to_unit(images: Tensor) -> Tensor:
    """Stored scans -> float32 in [0, 1] on the same device, memory format kept; float tensors pass through.

    Args:
        images: any shape; uint8, uint16, or float that is in [0, 1] already.

    Raises:
        ValueError: another type of integers, whose full scale is unknown.
    """
    if images.is_floating_point():
        return images.float()
    if images.dtype not in _FULL_SCALE:
        raise ValueError(f"expected uint8, uint16 or float images, got {images.dtype}")
    return images.float().div_(_FULL_SCALE[images.dtype])
