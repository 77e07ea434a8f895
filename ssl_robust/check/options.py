"""Values of options that no check can have, refused before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssl_robust.run import UserError

_SHARES = ("blank", "saturated", "margin", "duplicates.floor", "duplicates.certain", "shortcuts.look",
           "shortcuts.problem", "readers.kappa", "readers.behind")  # fmt: skip
_LEAST = {"n_shown": 0, "few_patients": 0, "duplicates.n_neighbors": 1, "shortcuts.folds": 2, "shortcuts.leaves": 2,
          "shortcuts.leaf_size": 1, "shortcuts.n_resamples": 1, "readers.few": 2,
          "readers.n_resamples": 1}  # fmt: skip


def refuse_impossible(settings: Mapping[str, Any]) -> None:
    """Say which option has a value that it cannot have.

    Args:
        settings: of configs/check.yaml.

    Raises:
        UserError: a number is too small, or a share outside of 0 to 1.
    """
    for name, least in _LEAST.items():
        if (value := _value(settings, name)) < least:
            raise UserError(f"{name}={value} does not fit; expected a whole number from {least} on")
    for name in _SHARES:
        if not 0 <= (value := _value(settings, name)) <= 1:
            raise UserError(f"{name}={value:g} does not fit; expected a share from 0 to 1")
    if not 0 < (level := settings["shortcuts"]["level"]) < 1:
        raise UserError(f"shortcuts.level={level:g} does not fit; expected a share between 0 and 1, e.g. 0.95")
    if (gap := settings["duplicates"]["gap"]) < 0:
        raise UserError(f"duplicates.gap={gap:g} is negative; expected a number from 0 on, e.g. 0.6")


def _value(settings: Mapping[str, Any], name: str) -> Any:
    group, _, key = name.rpartition(".")
    return settings[group][key] if group else settings[key]
