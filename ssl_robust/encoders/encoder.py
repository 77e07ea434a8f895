"""A timm model and the normalisation that belongs to its weights -> pooled features and feature maps.

The preprocessing travels with the weights: whoever holds an `Encoder` gives it values in [0, 1] and needs to know
nothing else. Any timm architecture works; its state dict keeps timm's own key names.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_robust.data.pixels import to_unit
from ssl_robust.encoders.card import Card
from ssl_robust.run import UserError

# Arguments of `timm.create_model` that fetch or open further files; cards and config.json come from other people.
_OF_WEIGHTS = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
_LARGEST_UNSAFE_SIDE = 16  # px, for bf16 gradients on a CPU; see `_precision`


class Encoder(nn.Module):
    """Scans in [0, 1] -> (N, D) float32 features.

    Args:
        timm_model: a timm model without classifier (`num_classes=0`).
        name: timm's name of the architecture.
        in_chans: channels of the scans, C.
        input_size: side in pixels that the encoder is made for.
        mean: C means of the scans' values in [0, 1].
        std: C standard deviations of the same.
        model_args: what `timm.create_model` got besides name, `num_classes` and `in_chans`.

    Attributes:
        timm: the timm model itself; its `state_dict` is what a checkpoint holds.
        dim: D, measured.
        autocast: type in which the timm model computes, float32 where None. Whoever runs the encoder sets it
            (`pick_precision`); the outputs are float32 in any case, so that heads and losses stay exact.
        card: the card of the checkpoint that the weights came from; None for new weights and timm's own.
        is_new: whether the weights are random still.
    """

    mean_buffer: Tensor
    std_buffer: Tensor

    def __init__(
        self,
        timm_model: nn.Module,
        *,
        name: str,
        in_chans: int,
        input_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        model_args: Mapping[str, Any],
    ) -> None:
        super().__init__()
        if len(mean) != in_chans or len(std) != in_chans:
            raise ValueError(f"{in_chans} channels need as many means and stds, got {len(mean)} and {len(std)}")
        self.timm = timm_model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name, self.in_chans, self.input_size = name, in_chans, input_size
        self.mean, self.std = [float(value) for value in mean], [float(value) for value in std]
        self.model_args = dict(model_args)
        self.autocast: torch.dtype | None = None
        self.card: Card | None = None
        self.is_new = True
        self._fixed_size = "img_size" in self.model_args and not self.model_args.get("dynamic_img_size")
        # Not persistent: the card keeps them, and the state dict stays loadable by strict readers.
        self.register_buffer("mean_buffer", torch.tensor(self.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std_buffer", torch.tensor(self.std).view(1, -1, 1, 1), persistent=False)
        self.dim = self._measure()

    def forward(self, images: Tensor) -> Tensor:
        """Pooled features.

        Args:
            images: (N, C, H, W) float in [0, 1], or uint8/uint16 as stored.

        Returns:
            (N, D) float32.

        Raises:
            ValueError: another number of channels.
        """
        inputs = self._normalize(images)
        with self._precision(inputs):
            return self.timm(inputs).float()

    def feature_map(self, images: Tensor) -> Tensor:
        """Features before pooling, as a grid.

        Args:
            images: (N, C, H, W) float in [0, 1], or uint8/uint16 as stored.

        Returns:
            (N, C', H', W') float32; a transformer's patch tokens are laid out as a grid, class and register tokens
            left out.
        """
        return self._as_grid(self.unpooled(images), self._aspect(images))

    def pooled_and_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` and `feature_map` give, from one pass.

        Args:
            images: (N, C, H, W) float in [0, 1], or uint8/uint16 as stored.
        """
        features = self.unpooled(images)
        return self.timm.forward_head(features), self._as_grid(features, self._aspect(images))  # type: ignore[operator]

    def unpooled(self, images: Tensor) -> Tensor:
        """Features before pooling, as timm lays them out.

        Args:
            images: (N, C, H, W) float in [0, 1], or uint8/uint16 as stored.

        Returns:
            float32; a transformer's tokens (N, L, D), class and register tokens first, or a network's grid.
        """
        inputs = self._normalize(images)
        with self._precision(inputs):
            return self.timm.forward_features(inputs).float()  # type: ignore[operator]

    def _normalize(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != self.in_chans:
            raise ValueError(f"expected images of shape (N, {self.in_chans}, H, W), got {tuple(images.shape)}")
        values = self._standardize(images)
        if self._fixed_size and values.shape[-1] != self.input_size:  # e.g. the small views of multi-crop
            values = F.interpolate(values, (self.input_size, self.input_size), mode="bilinear", antialias=True)
        return values.contiguous(memory_format=torch.channels_last)

    def _standardize(self, images: Tensor) -> Tensor:
        """`(to_unit(images) - mean) / std` over rows of pixels: a CPU takes four times as long channel by channel."""
        values = to_unit(images).contiguous(memory_format=torch.channels_last)
        width, channels = values.shape[-1], values.shape[1]
        rows = values.permute(0, 2, 3, 1).flatten(2)  # (N, H, W * C), the order in memory
        mean, std = (each.flatten().repeat(width) for each in (self.mean_buffer, self.std_buffer))
        rows = (rows - mean) / std if images.is_floating_point() else rows.sub_(mean).div_(std)
        return rows.unflatten(2, (width, channels)).permute(0, 3, 1, 2)

    def _precision(self, inputs: Tensor) -> torch.autocast:
        # Seen in torch 2.15.0 on a CPU: parts of a bf16 convolution's weight gradients stay unset, nan at times, where
        # a 3x3 kernel of stride 2 meets a single pixel: the last stage of a network of stride 32, given 16 px.
        learns = torch.is_grad_enabled() and inputs.device.type == "cpu"
        enabled = self.autocast is not None and not (learns and min(inputs.shape[-2:]) <= _LARGEST_UNSAFE_SIDE)
        return torch.autocast(inputs.device.type, dtype=self.autocast or torch.bfloat16, enabled=enabled)

    def _aspect(self, images: Tensor) -> float:
        return 1.0 if self._fixed_size else images.shape[-2] / images.shape[-1]

    def _as_grid(self, features: Tensor, aspect: float) -> Tensor:
        if features.ndim == 4:
            width = getattr(self.timm, "num_features", features.shape[1])
            last = getattr(self.timm, "output_fmt", "NCHW") == "NHWC" or width not in features.shape[1:2]
            return features.permute(0, 3, 1, 2) if last and features.shape[-1] == width else features
        tokens = features[:, getattr(self.timm, "num_prefix_tokens", 0) :]
        height = round((tokens.shape[1] * aspect) ** 0.5)
        return tokens.transpose(1, 2).unflatten(2, (height, -1))

    @torch.no_grad()
    def _measure(self) -> int:
        """D, from one forward pass of an empty scan; timm's attributes differ by family."""
        training = self.timm.training
        self.timm.eval()
        parameter = next(self.timm.parameters())
        probe = torch.zeros(1, self.in_chans, self.input_size, self.input_size, device=parameter.device)
        features = self.timm(probe)
        self.timm.train(training)
        if not isinstance(features, Tensor) or features.ndim != 2:
            raise UserError(f"encoder={self.name} gives no single vector per scan; choose another timm model")
        return features.shape[1]


def create_encoder(
    name: str,
    *,
    in_chans: int,
    input_size: int,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    pretrained: bool | str | Path = False,
    encoder_args: Mapping[str, Any] | None = None,
) -> Encoder:
    """A timm name -> an `Encoder`, with new weights or with timm's pretrained ones.

    New weights are drawn from torch's global generator: seed it before (`torch.manual_seed`).

    Args:
        name: any timm name, with or without a tag ("resnet18", "vit_tiny_patch16_224").
        in_chans: channels of the scans.
        input_size: side of the scans in pixels; models with position embeddings are built for it.
        mean: per-channel means of the scans in [0, 1]; None takes those of timm's pretrained weights.
        std: per-channel standard deviations, likewise.
        pretrained: True fetches timm's weights from the Hugging Face hub (its cache first); a path reads them from a
            `.safetensors` file in timm's key names.
        encoder_args: further arguments of `timm.create_model`, e.g. `{"drop_path_rate": 0.1}`.

    Raises:
        UserError: no such timm model (the message names the nearest), it cannot be built for this size, or the
            pretrained weights cannot be had.
    """
    given = dict(encoder_args or {})
    _check_asked(name, given)
    from ssl_robust.encoders.pretrained import pretrained_arguments, pretrained_statistics

    if mean is None or std is None:
        mean, std = pretrained_statistics(name, in_chans)
    std = [value if value > 0 else 1.0 for value in std]  # a channel without any contrast
    weights = pretrained_arguments(name, pretrained, given) if pretrained else {}
    error: Exception | None = None
    for sizes in _size_arguments(name, input_size, given):
        model_args = {**sizes, **given}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = timm.create_model(name, num_classes=0, in_chans=in_chans, **model_args, **weights)
            encoder = Encoder(
                model, name=name, in_chans=in_chans, input_size=input_size, mean=mean, std=std, model_args=model_args
            )
            encoder.is_new = not pretrained
            return encoder
        except UserError:
            raise
        except Exception as caught:  # a card's arguments come from other people
            error = caught
    raise _unbuildable(name, in_chans, input_size, error)


def _check_asked(name: str, given: Mapping[str, Any]) -> None:
    if not timm.is_model(name):
        base = name.split(".")[0]
        near = difflib.get_close_matches(name, timm.list_models(), n=3) or timm.list_models(f"*{base}*")[:3]
        hint = f"did you mean {', '.join(near)}?" if near else "`timm.list_models()` lists the names"
        raise UserError(f"encoder={name} is not a timm model; {hint}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        raise UserError(f"encoder={name} is a timm model with an unknown tag; leave out what follows the dot") from None
    if refused := [key for key in _OF_WEIGHTS if key in given]:
        raise UserError(
            f"encoder_args, or the card of the checkpoint, holds {refused[0]} for {name}, which would take weights "
            "from elsewhere; leave it out, and give weights as checkpoint= or encoder_file="
        )


def _unbuildable(name: str, in_chans: int, input_size: int, error: Exception | None) -> UserError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    native = timm.get_pretrained_cfg(name).input_size[-1]  # type: ignore[union-attr]
    return UserError(
        f"encoder={name} cannot be built for {input_size} px and {in_chans} channels ({reason}); "
        f"set data.image_size={native}, its own size, or mend encoder_args"
    )


def create_like(like: Card | Encoder) -> Encoder:
    """The encoder that a card describes, or another one's architecture, with new weights from torch's generator."""
    return create_encoder(
        like.architecture if isinstance(like, Card) else like.name,
        in_chans=like.in_chans,
        input_size=like.input_size,
        mean=like.mean,
        std=like.std,
        encoder_args=like.model_args,
    )


def _size_arguments(name: str, input_size: int, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What tells a model of fixed input size about ours, the most capable form first.

    `dynamic_img_size` lets a vision transformer also take smaller views (multi-crop) than it was built for.
    """
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.fixed_input_size or "img_size" in given:
        return [{}]
    dynamic = {"img_size": input_size, "dynamic_img_size": True, "dynamic_img_pad": True}
    return [dynamic, {"img_size": input_size}, {}]
