"""What a run costs beside decoding: times with their range, bytes on the disk, and how that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Cost:
    """Of one run.

    Attributes:
        times: what takes time -> `{"seconds", "low", "high"}`.
        disk: what lies in the run's directory -> bytes.
        notes: how that was found, a sentence each.
    """

    times: dict[str, dict[str, float]]
    disk: dict[str, int]
    notes: list[str] = field(default_factory=list)


def spread(n: float, seconds: Sequence[float]) -> dict[str, float]:
    """n times what was measured: by the median, the fastest and the slowest measurement.

    Args:
        n: how often it will be done.
        seconds: what it took each time.
    """
    return {"seconds": float(np.median(seconds)) * n, "low": min(seconds) * n, "high": max(seconds) * n}


def spread_of_mean(n: float, seconds: Sequence[float]) -> dict[str, float]:
    """n times the mean of a sample, plus and minus twice its standard error: for things that differ from each other.

    Args:
        n: how many things there are.
        seconds: what each of the sample took.
    """
    each = np.asarray(seconds)
    error = 2 * float(each.std(ddof=1)) / len(each) ** 0.5 if len(each) > 1 else 0.0
    mean, least = float(each.mean()), float(each.min())
    return {"seconds": n * mean, "low": n * max(least, mean - error), "high": n * (mean + error)}
