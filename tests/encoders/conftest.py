"""A tiny encoder and a few made-up scans."""

import numpy as np
import pandas as pd
import pytest
import torch

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.sources import ArraySource
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import create_encoder


@pytest.fixture
def grey_encoder():
    torch.manual_seed(0)
    return create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.4], std=[0.2]).eval()


@pytest.fixture
def checkpoint(tmp_path, grey_encoder):
    """A directory as `pretrain` leaves it."""
    card = describe(
        grey_encoder, resize="pad", method="simclr", epochs=1, n_scans=9, data_fingerprint="abc", data_licence=""
    )
    save_encoder(grey_encoder, tmp_path / "ssl", card=card)
    return tmp_path / "ssl"


@pytest.fixture
def grey_scans():
    """Twenty grey scans of 32 px with labels and patients."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), dtype=np.uint8)
    table = pd.DataFrame(
        {
            "sample_id": [f"scan-{row}" for row in range(20)],
            "path": [f"scan-{row}.png" for row in range(20)],
            "label": ["NA", "nevus"] * 10,
            "patient_id": [str(row // 2) for row in range(20)],
            "split": ["train"] * 12 + ["test"] * 8,
            "true_label": [None] * 20,
        },
        dtype="string",
    )
    return ScanSet(Manifest(table, ("NA", "nevus"), ArraySource(pixels[..., 0], "made-up")), pixels, "pad")
