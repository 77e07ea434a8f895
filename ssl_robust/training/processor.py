"""Settings of the process without which a CPU computes more slowly, and a GPU not always the same numbers."""

from __future__ import annotations

import ctypes
import sys

import torch

# mallopt's parameters, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def prepare_processor() -> None:
    """Call before the first tensor: worker threads that run already do not inherit the first setting.

    Subnormal weights slow a processor down several times, hours into a run: they are flushed to zero. And glibc hands
    large arrays back to the kernel after every step, which then clears the same pages again for the next; it is
    told to keep them. cuDNN may not choose its
    algorithms by a race, nor such as add in a different order every time.
    """
    torch.set_flush_denormal(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # glibc; musl has none
            libc.mallopt(_MMAP_THRESHOLD, 2**30)
            libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
