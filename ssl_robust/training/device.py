"""Where to compute and in which type: `auto` becomes the best that this machine has, anything else is checked."""

from __future__ import annotations

from pathlib import Path

import torch

from ssl_robust.run import UserError


def pick_device(setting: str) -> torch.device:
    """`auto` -> the best device there is; anything else is checked.

    Args:
        setting: auto, cpu, cuda, cuda:N or mps.

    Raises:
        UserError: unknown, or not on this machine.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if setting == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    kind, _, number = str(setting).partition(":")
    if kind not in present or (number and not number.isdigit()):
        raise UserError(f"device={setting} is unknown; choose auto, cpu, cuda, cuda:N or mps")
    if not present[kind] or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise UserError(f"device={setting} is not available on this machine; use auto or cpu")
    return torch.device(setting)


def pick_precision(setting: str, device: torch.device) -> torch.dtype | None:
    """`auto` -> bfloat16 where the hardware computes in it, else None (float32).

    On a processor without bf16 instructions it is emulated and slower than float32; with them it is two to three
    times as fast.

    Args:
        setting: auto, bf16 or fp32.
        device: where the encoder runs.

    Raises:
        UserError: unknown setting.
    """
    if setting not in ("auto", "bf16", "fp32"):
        raise UserError(f"precision={setting} is unknown; choose auto, bf16 or fp32")
    if setting == "fp32" or (setting == "auto" and not _computes_bf16(device)):
        return None
    return torch.bfloat16


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    flags = {"avx512_bf16", "amx_bf16"}
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(flag, False) for flag in flags)
    cpuinfo = Path("/proc/cpuinfo")  # older torch on Linux; elsewhere float32 is the safe answer
    return cpuinfo.exists() and not flags.isdisjoint(cpuinfo.read_text(encoding="utf-8").split())
