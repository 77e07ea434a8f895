"""timm's own pretrained weights: from the Hugging Face hub, or from a file where there is no network."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from statistics import mean as average
from typing import Any

import timm

from ssl_robust.run import UserError

_CONNECT_SECONDS = 5.0


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


def pretrained_arguments(name: str, source: bool | str | Path) -> dict[str, Any]:
    """Arguments that make `timm.create_model` load pretrained weights from a safetensors file.

    Args:
        name: timm's name.
        source: True for the hub (the local cache first, so that a second run needs no network), or a file.

    Raises:
        UserError: no weights under that name, a file that does not hold them, or no way to the hub.
    """
    path = _from_hub(name) if source is True else Path(str(source))
    _check_file(path, name)
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path), "custom_load": False}}


def _config(name: str) -> Any:
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.mean:
        raise UserError(f"encoder={name} has no pretrained weights in timm; use checkpoint=none or another encoder")
    return cfg


def _from_hub(name: str) -> Path:
    """The file in the hub's local cache, fetched where it is not there; one short attempt to reach the hub."""
    import huggingface_hub as hub

    cfg = _config(name)
    if not cfg.hf_hub_id:
        raise UserError(f"encoder={name} has no weights on the hub; use checkpoint=none or encoder_file=F.safetensors")
    file = cfg.hf_hub_filename or "model.safetensors"
    cached = hub.try_to_load_from_cache(cfg.hf_hub_id, file)
    if isinstance(cached, str):
        return Path(cached)
    advice = f"connect once, or copy {cfg.hf_hub_id}'s {file} here by hand and give encoder_file={file}"
    endpoint = hub.constants.ENDPOINT
    # The hub's client retries for most of a minute; whether there is a network shows in one request.
    if hub.constants.HF_HUB_OFFLINE or not _answers(endpoint):
        raise UserError(f"timm's weights of {name} are not on this machine and {endpoint} cannot be reached; {advice}")
    try:
        return Path(hub.hf_hub_download(cfg.hf_hub_id, file))
    except (OSError, ValueError) as error:  # the hub's own errors derive from OSError
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"fetching timm's weights of {name} from {endpoint} failed ({reason}); {advice}") from None


def _answers(endpoint: str) -> bool:
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # any answer is an answer
    except OSError:
        return False
    return True


def _check_file(path: Path, name: str) -> None:
    """timm loads leniently, so that a file of another architecture would leave the weights random in silence."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        raise UserError(f"encoder_file={path} is not a .safetensors file; give timm's weights of {name} in that format")
    try:
        with safe_open(path, framework="pt") as file:
            held = set(file.keys())
    except SafetensorError as error:
        raise UserError(f"encoder_file={path} cannot be read ({error}); copy it again") from None
    needed = {key for key, _ in timm.create_model(name, num_classes=0).named_parameters()}
    if missing := sorted(needed - held):
        raise UserError(
            f"encoder_file={path} does not hold timm's {name} (it lacks {missing[0]} and {len(missing) - 1} more); "
            "give the weights of the same architecture"
        )
