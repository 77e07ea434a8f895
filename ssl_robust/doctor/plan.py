"""`ssl-robust doctor STAGE …`: what a planned run will cost, from the real parts of it tried for seconds."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ssl_robust import processes
from ssl_robust.data.cache import undecoded
from ssl_robust.data.scanset import FoundScans
from ssl_robust.disk import free_bytes
from ssl_robust.doctor.cost import spread_of_mean
from ssl_robust.doctor.machine import cores
from ssl_robust.doctor.sample import Sample, sample
from ssl_robust.run import UserError, peak_memory_mib

if TYPE_CHECKING:
    from omegaconf import DictConfig


def estimate(stage: str, config: DictConfig) -> dict[str, Any]:
    """What a run will cost, as plain values.

    Args:
        stage: pretrain, finetune, embed or audit.
        config: its composed configuration.

    Returns:
        `stage`; `scans` and the `listing_seconds` to find them; `cache`, the decoded scans and the time to `decode`
        them; `times`, `disk` and `notes` as in `Cost`; `free`, bytes on the disk of `out`; `memory`, the most that the
        trial has held.

    Raises:
        UserError: what the stage itself would say about its options and its data.
    """
    from omegaconf import OmegaConf

    _check(config)
    OmegaConf.resolve(config)
    if stage == "audit":
        from ssl_robust.audit.material import chosen_checkpoint

        config.checkpoint = chosen_checkpoint(config)
    if sys.stderr.isatty():
        print("trying it, which takes about a minute …", end="\r", file=sys.stderr, flush=True)
    from ssl_robust.encoders.resolve import find_scans_for
    from ssl_robust.training.processor import prepare_processor

    prepare_processor()
    started = time.perf_counter()
    found = find_scans_for(config)
    listing = time.perf_counter() - started
    new = undecoded(found.manifest.source, len(found.manifest), found.geometry, found.cache)
    some = sample(found, new)
    if config.checkpoint == "imagenet":
        config.checkpoint = "none"  # new weights are as fast, and need no download
    settings: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    if stage == "pretrain":
        from ssl_robust.doctor.training import pretraining_cost

        cost = pretraining_cost(settings, found, some)
    else:
        from ssl_robust.doctor.forward import forward_cost

        cost = forward_cost(config, settings, found, some)
    cache = _cache(found, some, len(new))
    return {"stage": stage, "scans": len(found.manifest), "listing_seconds": listing, "cache": cache, **asdict(cost),
            "free": free_bytes(config.out), "memory": _memory()}  # fmt: skip


def _check(config: DictConfig) -> None:
    if processes.count() > 1:
        raise UserError("doctor tries a run in one process; start it without torchrun or srun")
    if "split" not in config.data:
        raise UserError("data=embeddings holds vectors, of which nothing is decoded or trained; give the scans")


def _cache(found: FoundScans, some: Sample, n_new: int) -> dict[str, Any]:
    """Bytes of the decoded scans, and the time until they are all there."""
    at_once = cores()["usable"] if some.side_by_side else 1
    return {
        "shape": list(some.pixels.shape[1:]),
        "bytes": len(found.manifest) * some.pixels[0].nbytes,
        "free": free_bytes(found.cache),
        "new": n_new,
        "decode": spread_of_mean(some.n_parts / at_once, some.seconds or [0.0]),
    }


def _memory() -> dict[str, float | None]:
    import torch

    process = peak_memory_mib()
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {"process": None if process is None else process * 2**20, "gpu": gpu}
