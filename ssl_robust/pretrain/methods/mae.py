"""MAE: the encoder sees a quarter of the patches, and a small decoder draws the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.models.modules.masked_vision_transformer_decoder_timm import MaskedVisionTransformerDecoderTIMM
from lightly.models.modules.masked_vision_transformer_timm import init_weights
from lightly.models.utils import get_2d_sincos_pos_embed, get_at_index, normalize_mean_var, patchify, set_at_index
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.encoders.encoder import Encoder
from ssl_robust.pretrain.method import Method, own_rows
from ssl_robust.records import Crop, Progress
from ssl_robust.run import UserError


class MAE(Method):
    """Reconstruction of masked patches; He et al. 2021, arXiv 2111.06377, section 3.

    The encoder is timm's own model, and timm's own forward pass makes the features: of the patches, only the visible
    ones pass it.

    Args:
        encoder: what is pretrained; a vision transformer.
        crops: one view, as large as the encoder's input.
        mask_ratio: share of the patches that the encoder does not see.
        decoder_dim: width of the decoder, which training alone needs.
        decoder_depth: its blocks.
        decoder_heads: its attention heads.

    Raises:
        UserError: the encoder is no plain vision transformer, or was made for scans of another size.
        ValueError: more than one view or a smaller one, a patch size that does not fit, or nothing to see or to draw.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        crops: Sequence[Crop],
        mask_ratio: float,
        decoder_dim: int,
        decoder_depth: int,
        decoder_heads: int,
    ) -> None:
        super().__init__(encoder, crops=crops)
        transformer = _transformer(encoder)
        self.patch_size = transformer.patch_embed.patch_size[0]
        _check_sizes(self.crops, self.patch_size, encoder.input_size)
        self.n_patches, self.n_prefix = transformer.patch_embed.num_patches, transformer.num_prefix_tokens
        if (
            self.n_patches != (encoder.input_size // self.patch_size) ** 2
        ):  # one that goes on with scans of another size
            own = transformer.patch_embed.grid_size[0] * self.patch_size
            raise UserError(f"method=mae cannot change the size of encoder={encoder.name}; take data.image_size={own}")
        self.n_visible = round(self.n_patches * (1 - mask_ratio))
        if not 0 < self.n_visible < self.n_patches:
            raise ValueError(
                f"mask_ratio={mask_ratio} shows {self.n_visible} of {self.n_patches} patches; take e.g. 0.75"
            )
        if encoder.is_new:
            _initialize(transformer)
        self.embed = nn.Linear(transformer.embed_dim, decoder_dim)
        self.decoder = MaskedVisionTransformerDecoderTIMM(
            self.n_patches, decoder_dim, decoder_depth, decoder_heads, num_prefix_tokens=self.n_prefix
        )
        self.predict = nn.Linear(decoder_dim, self.patch_size**2 * encoder.in_chans)

    def loss(self, views: list[Tensor], progress: Progress) -> dict[str, Tensor]:
        """Mean squared error of the masked patches' pixels, each patch normalised by its own mean and variance."""
        images = views[0]
        order = own_rows(lambda n: torch.rand(n, self.n_patches, device=images.device), len(images)).argsort(dim=1)
        visible, masked = order[:, : self.n_visible], order[:, self.n_visible :]
        drawn = get_at_index(self.decode(self.encode(images, visible), visible), masked)
        pixels = get_at_index(normalize_mean_var(patchify(images, self.patch_size)), masked)
        return {"loss": F.mse_loss(drawn, pixels)}

    def encode(self, images: Tensor, visible: Tensor) -> Tensor:
        """The encoder's tokens, of some patches alone.

        Args:
            images: (B, C, H, W) in [0, 1].
            visible: (B, V) numbers of the patches, row by row.

        Returns:
            (B, prefix + V, D), class and register tokens first.
        """

        # timm has a place for leaving out patches, between the position embedding and the first block.
        def keep(module: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
            prefix, patches = inputs[0].tensor_split([self.n_prefix], dim=1)
            return torch.cat([prefix, get_at_index(patches, visible)], dim=1)

        transformer = _transformer(self.encoder)
        with transformer.patch_drop.register_forward_hook(keep):
            tokens = self.encoder.unpooled(images)
        return transformer.fc_norm(tokens)  # models with average pooling have their last norm here

    def decode(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """Pixels of all patches, (B, P, patch_size² C), from the tokens of the visible ones."""
        prefix, patches = self.embed(tokens).tensor_split([self.n_prefix], dim=1)
        blank = self.decoder.mask_token.expand(len(tokens), self.n_patches, -1)
        decoded = self.decoder(torch.cat([prefix, set_at_index(blank, visible, patches)], dim=1))
        return self.predict(decoded[:, self.n_prefix :])


def _transformer(encoder: Encoder) -> VisionTransformer:
    if isinstance(encoder.timm, VisionTransformer) and encoder.timm.attn_pool is None:
        return encoder.timm
    raise UserError(
        f"method=mae hides patches from a plain vision transformer, which encoder={encoder.name} is not; take e.g. "
        "encoder=vit_tiny_patch16_224, with encoder_args.patch_size=8 for scans of 64 px"
    )


@torch.no_grad()
def _initialize(transformer: VisionTransformer) -> None:
    """The weights of appendix A.1 to begin with: timm's own say next to nothing of where a patch is."""
    transformer.apply(init_weights)
    if transformer.pos_embed is not None:
        n_prefix = 0 if transformer.no_embed_class else transformer.num_prefix_tokens
        grid = transformer.patch_embed.grid_size[0]
        places = get_2d_sincos_pos_embed(transformer.embed_dim, grid, num_prefix_tokens=n_prefix)
        transformer.pos_embed.copy_(torch.from_numpy(places))


def _check_sizes(crops: Sequence[Crop], patch_size: int, input_size: int) -> None:
    if [(crop.n, crop.size) for crop in crops] != [(1, 1.0)]:
        raise ValueError("mae takes one whole view, method.crops=[{n:1,size:1.0}]")
    if input_size % patch_size:
        raise ValueError(
            f"patches of {patch_size} px do not tile scans of {input_size} px; mend encoder_args.patch_size="
        )
