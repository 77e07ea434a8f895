"""Cores, memory and versions that this process has: those of the machine, less what affinity and containers take."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("ssl-robust", "torch", "torchvision", "timm", "lightly", "lightning", "faiss-gpu", "faiss-cpu")
_ROOT = Path("/")


def versions() -> dict[str, str]:
    """Python's, and those of the libraries that results depend on."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def cores(root: Path = _ROOT) -> dict[str, Any]:
    """`{"machine", "affinity", "quota", "usable"}`: how many cores there are, and how many this process may use.

    Args:
        root: of the file system that `proc` and `sys` are in.
    """
    machine = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    quota = _quota(root)
    usable = min(machine, affinity, max(1, round(quota)) if quota else machine)
    return {"machine": machine, "affinity": affinity, "quota": quota, "usable": usable}


def memory(root: Path = _ROOT) -> dict[str, int | None]:
    """`{"machine", "limit", "available"}` in bytes; None where the system does not say, or sets no limit.

    Args:
        root: as in `cores`.
    """
    machine = None
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [
        _number(each) for name in ("memory.max", "memory.limit_in_bytes") for each in _values("memory", name, root)
    ]
    # The old interface says "no limit" by a number that no machine has.
    limits = [limit for limit in limits if limit and (machine is None or limit < machine)]
    return {"machine": machine, "limit": min(limits, default=None), "available": _available(root)}


def _quota(root: Path) -> float | None:
    """Cores that the control groups grant, e.g. 1.5; None: all."""
    granted = []
    for text in _values("cpu", "cpu.max", root):
        limit, _, period = text.partition(" ")
        granted.append((_number(limit), _number(period)))
    limits, periods = (_values("cpu", f"cpu.cfs_{name}_us", root) for name in ("quota", "period"))
    granted += [(_number(limit), _number(period)) for limit, period in zip(limits, periods, strict=False)]
    return min((limit / period for limit, period in granted if limit and period), default=None)


def _values(controller: str, name: str, root: Path) -> Iterator[str]:
    """What a file of the control groups says, from the process's own group up to the outermost that can be seen."""
    for base, group in _groups(controller, root):
        for folder in (group, *group.parents):
            with contextlib.suppress(OSError):
                yield (base / folder / name).read_text(encoding="ascii").strip()


def _groups(controller: str, root: Path) -> Iterator[tuple[Path, Path]]:
    """Mounts of a controller, and the process's group below; the second version has one for all controllers."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, names, group = line.split(":", 2)
        if not names or controller in names.split(","):
            yield root / "sys/fs/cgroup" / names, Path(group.lstrip("/"))


def _number(text: str) -> int | None:
    """A number above 0; None for `max` and -1, which mean no limit."""
    return int(text) if text.isdecimal() and int(text) else None


def _available(root: Path) -> int | None:
    with contextlib.suppress(OSError):
        for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None
