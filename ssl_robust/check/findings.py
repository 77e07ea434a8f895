"""What a check has found: sentences for a person, the most serious first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

SEVERITIES = ("problem", "look", "fine")  # mend it before training; look at it and decide; nothing to do
_NAMED = 20  # scans; check.csv has all of them


@dataclass(frozen=True)
class Finding:
    """One sentence about the data.

    Attributes:
        severity: problem, look or fine.
        about: the part of the check that it comes from, e.g. "duplicates".
        text: what was found and what to do.
        scans: ids of scans that it is about, the first of them.
    """

    severity: str
    about: str
    text: str
    scans: list[str] = field(default_factory=list)


def found(severity: str, about: str, text: str, scans: Sequence[str] | np.ndarray = ()) -> Finding:
    """A finding that names no more scans than a person reads."""
    return Finding(severity, about, text, [str(each) for each in scans[:_NAMED]])


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Problems first; findings of one severity keep their order."""
    return sorted(findings, key=lambda each: SEVERITIES.index(each.severity))


def counted(n: int, thing: str) -> str:
    """`1 scan`, `1,200 scans`, `2 classes`."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}{'es' if thing.endswith('s') else 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """`a, b and 3 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
