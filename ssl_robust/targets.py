"""What a `_target_` may name: what a file of its group under `configs/` names, and nothing else.

A `_target_` is called with the values beside it, so a configuration from elsewhere could run any program. Its text is
compared with those files before anything is imported: they are the only registry.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ssl_robust.files import UserError
from ssl_robust.settings import choices, defaults


def resolve(group: str, settings: Mapping[str, Any]) -> Any:
    """The class or function that a node of the configuration names.

    Args:
        group: folder under `configs/` that the node comes from, e.g. "method".
        settings: the node.

    Raises:
        UserError: no file of the group names it.
    """
    target = settings.get("_target_")
    _check(group, target)
    module, _, name = str(target).rpartition(".")
    return getattr(importlib.import_module(module), name)


def check_targets(settings: Mapping[str, Any]) -> None:
    """Refuse a configuration in which any `_target_`, however deep, is not one of its group's.

    Args:
        settings: plain containers, from the root on: `{"method": {"_target_": …, …}, …}`.

    Raises:
        UserError: the first that is not.
    """
    for place, target in _targets(settings, ""):
        _check(place, target)


def _check(place: str, target: Any) -> None:
    if not isinstance(target, str) or target not in _registered(place):
        name = f"{place}._target_".lstrip(".")
        remedy = f"choose one with {place}=NAME" if _registered(place) else "take it away"
        raise UserError(f"{name}={target} is nothing that ssl-robust calls there; {remedy}")


@cache
def _registered(group: str) -> frozenset[str]:
    """What the files of a group name; nothing for a place that is no group."""
    found = (defaults(group, name).get("_target_") for name in choices(group)) if group.isidentifier() else ()
    return frozenset(target for target in found if target)


def _targets(values: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Dotted place and value of each `_target_`."""
    if isinstance(values, Mapping):
        if "_target_" in values:
            yield place, values["_target_"]
        for key, value in values.items():
            yield from _targets(value, f"{place}.{key}" if place else str(key))
    elif isinstance(values, list | tuple):
        for row, value in enumerate(values):
            yield from _targets(value, f"{place}.{row}")
