"""A folder in timm's hub format, `config.json` and `model.safetensors`: its facts as a card. Read without torch.

The format is timm's own (`timm.models.push_to_hf_hub`), which `timm.create_model("local-dir:FOLDER")` reads too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_robust.encoders.card import Card, parse_card
from ssl_robust.run import UserError, read_json

CONFIG, HUB_WEIGHTS = "config.json", "model.safetensors"
SCALING = "uint8 / 255, uint16 / 65535; then (value - mean) / std per channel"
_NOT_OURS = ("in_chans", "num_classes")  # arguments of the model that the card has a field for, or that are fixed here


def is_hub_folder(directory: Path) -> bool:
    """Whether a directory has a `config.json`."""
    return (directory / CONFIG).is_file()


def hub_card(directory: Path) -> Card:
    """The card that `config.json` amounts to: architecture, input size and normalisation; no more is known.

    Args:
        directory: the folder, or the snapshot in the hub's cache.

    Raises:
        UserError: it is the configuration of another library, or lacks what is needed.
    """
    path = directory / CONFIG
    config, cfg = _read(path)
    size = cfg.get("input_size")
    if not (isinstance(size, list) and len(size) == 3 and size[1] == size[2]):
        raise UserError(
            f"{path} has the input_size {size}; expected [channels, side, side], as encoders here take squares"
        )
    arguments = config.get("model_args") or {}
    licence = f" (of the weights: {cfg['license']})" if cfg.get("license") else ""
    values = {
        "architecture": config.get("architecture"), "in_chans": size[0], "input_size": size[1],
        "mean": cfg.get("mean"), "std": cfg.get("std"),
        "model_args": {name: value for name, value in arguments.items() if name not in _NOT_OURS},
        "scaling": SCALING, "resize": "pad", "method": "elsewhere", "epochs": 0, "n_scans": 0, "data_fingerprint": "",
        "data_licence": f"unknown{licence}", "version": "",
    }  # fmt: skip
    return parse_card(values, path)


def hub_overlay(directory: Path) -> dict[str, Any]:
    """What timm must know of the weights in the folder to fit them: their channels and their classifier."""
    _, cfg = _read(directory / CONFIG)
    named = ("input_size", "num_classes", "classifier", "first_conv")
    return {name: cfg[name] for name in named if cfg.get(name) is not None}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and its part about the weights, which older files do not keep apart."""
    config = read_json(path)
    if not isinstance(config, dict) or "architecture" not in config:
        raise UserError(
            f'{path} is not in timm\'s format (it has no "architecture"); choose the timm version of that model'
        )
    cfg = config.get("pretrained_cfg", config)
    if not isinstance(cfg, dict) or not isinstance(config.get("model_args") or {}, dict):
        raise UserError(f"{path} has pretrained_cfg or model_args that are no JSON objects; copy the file again")
    if "num_classes" in config:
        cfg = {**cfg, "num_classes": config["num_classes"]}
    return config, cfg
