"""How files become scans: the rules that all files of a set share, and what one file holds by them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ssl_robust.files import UserError

AXES = ("axial", "coronal", "sagittal")
_RULES = ("auto", "full", "percentiles")


class Refused(ValueError):
    """Why a file is not read, in a sentence that names nobody."""


class NoPicture(Refused):
    """A file that is whole, of a kind that is read here, and never held a scan: a report or a plan in DICOM.

    Args:
        kind: what it holds instead, e.g. "RT Plan".
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"holds no picture ({kind})")
        self.kind = kind


@dataclass(frozen=True)
class Rules:
    """`data.window` and its neighbours, checked.

    Attributes:
        window: "auto" (what each file says), "full" (all values that it could hold), "percentiles" (of each file's own
            values), or (low, high) in stored units, Hounsfield units for CT.
        percentiles: the two that "percentiles" takes, and "auto" where a file says nothing.
        frames: of the frames or pages of a file, every n-th.
        axis: along which a volume is cut: axial, coronal or sagittal.
        step: of its slices, every n-th.
        body: smallest share of a slice that is no background; others are left out.
    """

    window: str | tuple[float, float] = "auto"
    percentiles: tuple[float, float] = (0.5, 99.5)
    frames: int = 1
    axis: str = "axial"
    step: int = 1
    body: float = 0.0

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Rules:
        """The rules in a `data` node.

        Args:
            settings: `window`, `windows` (names -> [low, high]), `percentiles`, `frames`, `axis`, `step` and `body`.

        Raises:
            UserError: a value is impossible.
        """
        for name in ("frames", "step"):
            if not isinstance(settings[name], int) or settings[name] < 1:
                raise UserError(f"data.{name}={settings[name]} does not fit; expected a whole number above 0")
        if settings["axis"] not in AXES:
            raise UserError(f"data.axis={settings['axis']} does not exist; expected {', '.join(AXES)}")
        if not isinstance(settings["body"], int | float) or not 0 <= settings["body"] < 1:
            raise UserError(f"data.body={settings['body']} does not fit; expected a share, from 0 to below 1")
        percentiles = _two(settings["percentiles"])
        if percentiles is None or not 0 <= percentiles[0] < percentiles[1] <= 100:
            raise UserError(f"data.percentiles={settings['percentiles']} do not fit; expected two such as [0.5,99.5]")
        return cls(
            window=_window(settings["window"], settings["windows"]), percentiles=percentiles,
            frames=settings["frames"], axis=settings["axis"], step=settings["step"], body=float(settings["body"]),
        )  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        parts: names of its scans in order: "" where the file is one scan, else "frame=3", "page=3", "z=012".
        patient: whom it shows, where the file says so; only ever used hashed.
        facts: what else its header says and a data report may show, no identifier: {"modality": "CT", "bits": "12"}.
        no_picture: what it holds in place of scans, "RT Plan"; then there are no parts.
    """

    parts: tuple[str, ...] = ("",)
    patient: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    no_picture: str | None = None


class Format(Protocol):
    """A kind of file; each is a module with these two functions."""

    def contents(self, path: Path, rules: Rules) -> Contents:
        """What the file holds, from its header where that is enough; raises any exception where it cannot be told."""
        ...

    def read(self, path: Path, parts: Sequence[str], rules: Rules) -> Iterable[np.ndarray]:
        """The named parts in order, each (H, W) or (H, W, 3), uint8 or uint16; raises any exception."""
        ...


def _two(values: Any) -> tuple[float, float] | None:
    numbers = isinstance(values, Sequence) and all(isinstance(value, int | float) for value in values)
    return (float(values[0]), float(values[1])) if numbers and len(values) == 2 else None


def _window(value: Any, named: Mapping[str, Sequence[float]]) -> str | tuple[float, float]:
    if value in _RULES:
        return value
    limits = _two(named.get(value)) if isinstance(value, str) else _two(value)
    if limits is not None and not limits[0] < limits[1]:
        raise UserError(
            f"data.window={value} does not end above where it begins; write the lowest value first: '[low,high]'"
        )
    if limits is None:
        near = difflib.get_close_matches(str(value), [*_RULES, *named], n=1)
        hint = f", did you mean {near[0]}" if near else ""
        raise UserError(
            f"data.window={value} is not known{hint}; expected {', '.join(_RULES)}, {', '.join(named)}, or the lowest "
            "and the highest value as '[low,high]'"
        )
    return limits
