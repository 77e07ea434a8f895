"""A method around the encoder that a test asks for, or around one that is like it where the method refuses that."""

import torch

from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.pretrain.method import build_method
from ssl_robust.run import UserError

TRANSFORMER = ("test_vit", {"patch_size": 8})


def build_fitting(values, name, *, side, seed=0, encoder_args=None):
    """`values` is a `method` node, `name` a convolutional network; encoders take three channels.

    Some methods need a feature map of more than one place, some a vision transformer.
    """
    arguments = encoder_args or {}
    for architecture, more in ((name, arguments), (name, {**arguments, "output_stride": 8}), TRANSFORMER):
        torch.manual_seed(seed)
        encoder = create_encoder(
            architecture, in_chans=3, input_size=side, mean=[0.5] * 3, std=[0.2] * 3, encoder_args=more
        )
        try:
            return build_method(values, encoder)
        except UserError as error:
            refusal = error
    raise refusal
