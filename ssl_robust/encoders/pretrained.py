"""timm's own pretrained weights: from the Hugging Face hub, or from a file where there is no network."""

from __future__ import annotations

from pathlib import Path
from statistics import mean as average
from typing import Any

import timm

from ssl_robust.run import UserError


def pretrained_statistics(name: str, in_chans: int) -> tuple[list[float], list[float]]:
    """Means and standard deviations that timm's weights of `name` expect, for values in [0, 1].

    timm fits RGB weights to other channel counts by summing the first layer over colours, so that the average of
    the three colours' statistics stands for each channel.
    """
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None:
        raise UserError(f"encoder={name} has no pretrained weights in timm; use checkpoint=none or another encoder")
    mean, std = list(cfg.mean), list(cfg.std)
    if len(mean) == in_chans:
        return mean, std
    return [average(mean)] * in_chans, [average(std)] * in_chans


def pretrained_arguments(name: str, source: bool | str | Path) -> dict[str, Any]:
    """Arguments that make `timm.create_model` load pretrained weights.

    Args:
        name: timm's name.
        source: True for the hub, or a `.safetensors` file.

    Raises:
        UserError: no weights under that name, a file that is missing or no safetensors, or no way to the hub.
    """
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or (source is True and not cfg.has_weights):
        raise UserError(f"encoder={name} has no pretrained weights in timm; use checkpoint=none or another encoder")
    if source is True:
        return {"pretrained": True}
    path = Path(str(source))
    if path.suffix != ".safetensors" or not path.is_file():
        raise UserError(f"encoder_file={path} is not a .safetensors file; give timm's weights of {name} in that format")
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}
