"""Amounts as people say them, and places without the names of people."""

from __future__ import annotations

import os
from pathlib import Path

_SCALES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(n_bytes: float) -> str:
    """1234567 -> "1.2 MB"."""
    scale, unit = next((each for each in _SCALES if n_bytes >= each[0]), (1, "bytes"))
    value = n_bytes / scale
    return f"{value:.1f} {unit}" if scale > 1 and value < 100 else f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """In the unit that leaves a number which can be remembered: 90 -> "1.5 min"."""
    if seconds < 1:
        return "less than a second"
    for scale, unit, until in ((1, "s", 90), (60, "min", 90 * 60), (3600, "h", 48 * 3600)):
        if seconds < until:
            value = seconds / scale
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"


def between(low: float, high: float) -> str:
    """A range of durations; one of them where both read alike."""
    first, last = duration(low), duration(high)
    if first == last:
        return first
    number, _, unit = first.rpartition(" ")
    return f"{number if last.endswith(f' {unit}') else first} to {last}"


def shown(path: Path) -> str:
    """A path without the name of its user: below `~`, or below the variable that names its folder.

    Args:
        path: absolute, or as the user typed it.
    """
    for variable in ("SSL_ROBUST_CACHE", "XDG_CACHE_HOME"):
        if folder := os.environ.get(variable):
            base = Path(folder).expanduser()
            if path == base or base in path.parents:
                return str(Path(f"${variable}") / path.relative_to(base))
    home = Path.home()
    return str(Path("~") / path.relative_to(home)) if home in path.parents else str(path)
