"""What was typed -> the runs of a sweep, known before the first of them starts, so that none is lost from the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ssl_robust.syntax import values_of

_LONGEST_LABEL = 100  # characters; file systems take 255 bytes


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    Attributes:
        home: the sweep's own folder, `out` as it was given.
        label: name of the run's folder in it, by the values that differ: `method-byol_seed-1`.
        values: the swept options and what this run has for them.
    """

    home: str
    label: str
    values: dict[str, Any]


def plan(arguments: Sequence[str], *, out: str) -> list[Planned]:
    """The runs in the order in which Hydra numbers them: the last option typed changes fastest.

    Args:
        arguments: overrides that `check` has seen.
        out: the sweep's folder where none was typed.
    """
    # Hydra keeps one entry per option, in the place where it was typed first.
    options = {key.lstrip("+"): values for key, values in map(values_of, arguments)}
    swept = [key for key, values in options.items() if len(values) > 1 and key != "out"]
    runs = []
    for number, chosen in enumerate(product(*options.values())):
        mine = dict(zip(options, chosen, strict=True))
        home = mine["out"].value if "out" in mine else out
        label = _label(number, [f"{key}-{mine[key].text}" for key in swept])
        runs.append(Planned(str(Path(home)), label, {key: mine[key].value for key in swept}))
    return runs


def _label(number: int, parts: Sequence[str]) -> str:
    plain = "_".join(parts)
    label = re.sub(r"[^\w.+-]+", "_", plain)[:_LONGEST_LABEL]
    # Values that were cut or rewritten (paths) may look alike: the number of the run tells them apart.
    return label if label == plain and label else f"{label}-{number}".lstrip("-")
