"""What torch computes on here, in which type, and why it sees no GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from ssl_robust.training.device import pick_device, pick_precision

_DRIVER = Path("/proc/driver/nvidia/version")


def devices() -> dict[str, Any]:
    """`{"device", "precision", "threads", "gpus", "why_no_gpu"}`: what `auto` means on this machine.

    A GPU is `{"name", "memory", "free"}`, in bytes; None where the system does not say.
    """
    device = pick_device("auto")
    gpus = [_gpu(number) for number in range(torch.cuda.device_count())] if device.type == "cuda" else []
    if device.type == "mps":
        gpus = [{"name": "Apple GPU (mps)", "memory": None, "free": None}]
    return {
        "device": device.type,
        "precision": "fp32" if pick_precision("auto", device) is None else "bf16",
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "why_no_gpu": None if gpus else why_no_gpu(),
    }


def why_no_gpu() -> str:
    """The likeliest reason why torch sees none, and what to do about it."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "this build of torch knows processors alone; for a GPU install torch as pytorch.org/get-started says"
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return "the variable CUDA_VISIBLE_DEVICES names none that is here; unset it, or give it the number of a GPU"
    if torch.version.cuda and not _DRIVER.exists() and os.name == "posix":
        return "no NVIDIA driver is loaded here (a container needs --gpus all, a cluster's job has to ask for one)"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]
    return "torch finds no device"


def _gpu(number: int) -> dict[str, Any]:
    free, total = torch.cuda.mem_get_info(number)
    return {"name": torch.cuda.get_device_name(number), "memory": total, "free": free}
