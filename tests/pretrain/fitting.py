"""A method around the encoder that a test asks for, or around a small vision transformer where it refuses that."""

import torch

from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.pretrain.method import build_method
from ssl_robust.run import UserError

TRANSFORMER = ("test_vit", {"patch_size": 8})


def build_fitting(values, name, *, side, seed=0, encoder_args=None):
    """`values` is a `method` node; encoders take three channels."""
    for architecture, arguments in ((name, encoder_args), TRANSFORMER):
        torch.manual_seed(seed)
        encoder = create_encoder(
            architecture, in_chans=3, input_size=side, mean=[0.5] * 3, std=[0.2] * 3, encoder_args=arguments
        )
        try:
            return build_method(values, encoder)
        except UserError as error:
            refusal = error
    raise refusal
