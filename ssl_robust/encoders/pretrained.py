"""timm's own pretrained weights: from the Hugging Face hub, or from a file where there is no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean as average
from typing import Any

import timm

from ssl_robust.encoders.hub import fetch
from ssl_robust.encoders.hub_format import HUB_WEIGHTS, hub_overlay, is_hub_folder
from ssl_robust.encoders.places import CONVERT
from ssl_robust.run import UserError


def pretrained_statistics(name: str, in_chans: int) -> tuple[list[float], list[float]]:
    """Means and standard deviations that timm's weights of `name` expect, for values in [0, 1].

    timm fits RGB weights to other channel counts by summing the first layer over colours, so that the average of
    the three colours' statistics stands for each channel.

    Args:
        name: timm's name.
        in_chans: channels of the scans.
    """
    cfg = _config(name)
    mean, std = list(cfg.mean), list(cfg.std)
    if len(mean) == in_chans:
        return mean, std
    return [average(mean)] * in_chans, [average(std)] * in_chans


def pretrained_arguments(name: str, source: bool | str | Path, model_args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that make `timm.create_model` load pretrained weights from a safetensors file.

    Args:
        name: timm's name.
        source: True for the hub (the local cache first, so that a second run needs no network), or a file; a
            `config.json` in timm's format beside it says how the weights were made.
        model_args: what the model gets besides.

    Raises:
        UserError: no weights under that name, a file that does not hold them, or no way to the hub.
    """
    path = _from_hub(name) if source is True else Path(str(source))
    _check_file(path, name, model_args)
    described = hub_overlay(path.parent) if path.name == HUB_WEIGHTS and is_hub_folder(path.parent) else {}
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path), "custom_load": False, **described}}


def _config(name: str) -> Any:
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.mean:
        raise UserError(f"encoder={name} has no pretrained weights in timm; use checkpoint=none or another encoder")
    return cfg


def _from_hub(name: str) -> Path:
    cfg = _config(name)
    if not cfg.hf_hub_id:
        raise UserError(f"encoder={name} has no weights on the hub; use checkpoint=none or encoder_file=F.safetensors")
    file = cfg.hf_hub_filename or "model.safetensors"
    advice = f"connect once, or copy {cfg.hf_hub_id}'s {file} here by hand and give encoder_file={file}"
    return fetch(cfg.hf_hub_id, file, what=f"timm's weights of {name}", advice=advice)


def _check_file(path: Path, name: str, model_args: Mapping[str, Any]) -> None:
    """timm loads leniently, so that a file of another architecture would leave the weights random in silence."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError(f"encoder_file={path} does not exist; give timm's weights of {name} as a .safetensors file")
    if path.suffix != ".safetensors":
        raise UserError(f"encoder_file={path} is not a .safetensors file but may be {CONVERT} and give that file")
    try:
        with safe_open(path, framework="pt") as file:
            held = set(file.keys())
    except SafetensorError as error:
        raise UserError(f"encoder_file={path} cannot be read ({error}); copy it again") from None
    needed = {key for key, _ in timm.create_model(name, num_classes=0, **model_args).named_parameters()}
    if missing := sorted(needed - held):
        raise UserError(
            f"encoder_file={path} does not hold timm's {name} (it lacks {missing[0]} and {len(missing) - 1} more); "
            "give the weights of the same architecture"
        )
