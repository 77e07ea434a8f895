"""Tiny encoders on disk, and the command line that looks at them."""

import pytest
import torch

from ssl_robust.cli import run
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import create_encoder


@pytest.fixture
def make(tmp_path):
    """An architecture -> the directory of an encoder as `pretrain` leaves it, and that encoder."""

    def build(name="resnet10t", *, in_chans=3, input_size=32):
        torch.manual_seed(0)
        mean, std = [0.4, 0.5, 0.6][:in_chans], [0.2, 0.3, 0.25][:in_chans]
        encoder = create_encoder(name, in_chans=in_chans, input_size=input_size, mean=mean, std=std)
        with torch.no_grad():  # statistics as after training, so that a mistake in them shows
            for norm in (each for each in encoder.modules() if isinstance(each, torch.nn.BatchNorm2d)):
                norm.running_mean.uniform_(-0.1, 0.1)
                norm.running_var.uniform_(0.5, 1.5)
        card = describe(
            encoder, resize="pad", method="simclr", epochs=1, n_scans=1234, data_fingerprint="abc", data_licence="CC0"
        )
        save_encoder(encoder, tmp_path / "runs" / name, card=card)
        return tmp_path / "runs" / name, encoder.eval()

    return build


@pytest.fixture
def said(capsys):
    """Words after `ssl-robust checkpoints` -> exit code, stdout, stderr."""

    def call(*words):
        code = run(["checkpoints", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
