"""Files of a run directory -> plain values for a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

_CRISP = 64  # up to this side every pixel is kept as it is


def read_thumbnails(path: Path) -> list[str]:
    """thumbnails.npz -> one `data:` address per picture, lossless where they are small."""
    with np.load(path, allow_pickle=False) as file:
        return [data_address(image) for image in file["images"]]


def data_address(image: np.ndarray) -> str:
    """(S, S, C) uint8, C = 1 or 3 -> `data:image/…;base64,…`."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    kind, options = ("png", {"optimize": True}) if len(image) <= _CRISP else ("jpeg", {"quality": 88})
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
