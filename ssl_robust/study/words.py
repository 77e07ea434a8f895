"""Numbers and names in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def plain(name: str) -> str:
    """`cross_entropy` -> `cross entropy`."""
    return name.replace("_", " ")


def joined(parts: Sequence[str]) -> str:
    """`a; b; c`: parts hold commas of their own."""
    return "; ".join(parts)


def number(value: float) -> str:
    """`0.123`; a dash where there is nothing."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def percent(value: float) -> str:
    """`12 %`; a dash where there is nothing."""
    return "–" if math.isnan(value) else f"{100 * value:.0f} %"


def spread(interval: Mapping[str, float]) -> str:
    """`0.123 (0.100 to 0.150)`."""
    return f"{interval['estimate']:.3f} {_ends(interval, '.3f')}"


def change(interval: Mapping[str, float]) -> str:
    """`+0.123 (+0.100 to +0.150)`, for differences."""
    return f"{interval['estimate']:+.3f} {_ends(interval, '+.3f')}"


def reached(interval: Mapping[str, float], highest: float) -> str:
    """A noise rate whose ends may lie beyond what was measured: `31 % noise (28 % to more than 40 %)`.

    Args:
        interval: shares, infinite = not reached.
        highest: rate that was measured.
    """

    def shown(rate: float) -> str:
        return percent(rate) if math.isfinite(rate) else f"more than {percent(highest)}"

    if math.isinf(interval["low"]):
        return f"more than {percent(highest)} noise, in every draw"
    ends = f"({shown(interval['low'])} to {shown(interval['high'])})"
    return f"{shown(interval['estimate'])} noise {'(no interval)' if math.isnan(interval['low']) else ends}"


def _ends(interval: Mapping[str, float], form: str) -> str:
    if math.isnan(interval["low"]):
        return "(no interval)"
    return f"({interval['low']:{form}} to {interval['high']:{form}})"
