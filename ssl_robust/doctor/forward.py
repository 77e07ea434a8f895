"""The encoder alone, tried for seconds: what embed, audit and, roughly, finetune will cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_robust.data.scanset import FoundScans, ScanSet
from ssl_robust.doctor.cost import Cost, spread
from ssl_robust.doctor.sample import Sample
from ssl_robust.encoders.embeddings import encode_rows
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.encoders.resolve import open_encoder
from ssl_robust.training.device import pick_device, pick_precision

if TYPE_CHECKING:
    import torch
    from omegaconf import DictConfig

_FEW = 8  # scans of the first pass, which tells how many can be tried
_TIMES = 4
STEP = 3  # forward passes that a step of training is about as long as: gradients of values and of weights cost one each


def forward_cost(config: DictConfig, settings: Mapping[str, Any], found: FoundScans, some: Sample) -> Cost:
    """What embed, audit and finetune cost, by forward passes.

    Args:
        config: of the stage.
        settings: the same as plain values.
        found: the whole set.
        some: of its scans.

    Raises:
        UserError: the encoder cannot be had or does not fit the scans.
    """
    where = settings.get("trainer", settings)
    device = pick_device(where["device"])
    encoder = open_encoder(config, some.scans(found, _FEW))
    encoder.autocast = pick_precision(where["precision"], device)
    seconds = seconds_per_scan(encoder, some.scans(found, where["batch_size"]), device=device)
    n, weights = len(found.manifest), weights_bytes(encoder)
    notes = [f"{1 / np.median(seconds):,.0f} scans/s on {device.type}, in {_TIMES} batches that were tried"]
    if settings.get("freeze", True):  # embed and audit train nothing, either
        disk = {"classifier": weights} if "freeze" in settings else {"vectors": 4 * n * encoder.dim}
        return Cost({"embedding": spread(n, seconds)}, disk, notes)
    notes.append(f"training was not tried: a step is counted as {STEP} forward passes, views come on top")
    n_epochs, n_train = where["max_epochs"], len(found.manifest.rows("train"))
    times = {"training": spread(n_epochs * STEP * n_train, seconds), "measuring": spread(n_epochs * n, seconds)}
    return Cost(times, {"classifier": weights, "last.ckpt": 3 * weights}, notes)  # with AdamW's two moments


def seconds_per_scan(encoder: Encoder, scans: ScanSet, *, device: torch.device) -> list[float]:
    """Seconds for a scan through the encoder as it stands, measured several times.

    Args:
        encoder: is moved to the device.
        scans: a batch of them; fewer are tried where all would take long.
        device: where to compute.
    """
    few = min(_FEW, len(scans))
    _seconds(encoder, scans, few, device)  # the first pass loads and chooses
    n = int(np.clip(1 / _seconds(encoder, scans, few, device), few, len(scans)))  # about a second's worth
    return [_seconds(encoder, scans, n, device) for _ in range(_TIMES)]


def weights_bytes(encoder: Encoder) -> int:
    """Of the encoder on disk."""
    return sum(value.numel() * value.element_size() for value in encoder.timm.state_dict().values())


def _seconds(encoder: Encoder, scans: ScanSet, n: int, device: torch.device) -> float:
    started = time.perf_counter()
    encode_rows(encoder, scans, np.arange(n), batch_size=n, device=device)
    return (time.perf_counter() - started) / n
