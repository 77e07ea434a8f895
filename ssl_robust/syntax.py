"""One word of a command line -> an override as Hydra's grammar reads it, or one sentence about what is wrong with it.

Hydra takes more than ssl-robust means: its own settings, other places for a group, options that nothing reads, options
taken away. What cannot mean anything here is refused here, before anything is composed.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ssl_robust.run import UserError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_KEY = re.compile(r"\+{0,2}[\w-]+(\.[\w-]+)*")
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_MOST = 10_000  # values of one option in a sweep


class Value(NamedTuple):
    """A value of an override: as it reaches the stage, and as Hydra writes it on a command line."""

    value: Any
    text: str


def parse(argument: str, sweep: bool) -> Override:
    """One word of a command line -> the override.

    Args:
        argument: `key=value`, paths quoted.
        sweep: whether it may name several values.

    Raises:
        UserError: it is none, or one that means nothing here.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, value = _split(argument)
    try:
        override = OverridesParser.create().parse_override(argument)
    except (HydraException, RecursionError, ValueError):  # numbers of thousands of digits, nestings as deep
        raise UserError(_unparsed(argument, key, value)) from None
    if override.is_sweep_override():
        _check_several(override, argument, key, value, sweep)
    return override


def values_of(argument: str) -> tuple[str, list[Value]]:
    """The option that an override names, and its value, or its values in a sweep.

    Args:
        argument: an override that `parse` takes.
    """
    override = parse(argument, True)
    key = override.get_key_element()
    if not override.is_sweep_override():
        return key, [Value(override.value(), override.get_value_element_as_str())]
    return key, [Value(*each) for each in zip(all_values(override), override.sweep_string_iterator(), strict=True)]


def all_values(override: Override) -> list[Any]:
    """The values of an override: one, or those of a sweep."""
    if not override.is_sweep_override():
        return [override.value()]
    return [getattr(each, "text", each) for each in override.sweep_iterator()]  # texts in quotes are objects of Hydra's


def first_value(override: Override, argument: str) -> str:
    """The override with the first of its values alone."""
    if not override.is_sweep_override():
        return argument
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def _split(argument: str) -> tuple[str, str]:
    """Key and value, where the key can be one of an option or a group."""
    key, equals, value = argument.partition("=")
    if argument.startswith("-"):
        raise UserError(f"{argument} is not an option here; options are key=value, without dashes (see --help)")
    if argument.startswith("~"):
        raise UserError(f"{argument} would take an option away, which every run needs; leave it out to keep its value")
    if not equals:
        raise UserError(f"{argument!r} is not of the form key=value (no spaces around =); see --help for the options")
    if key != key.strip() or value != value.lstrip():
        raise UserError(f"{argument!r} has spaces around =; write {key.strip()}={value.strip()}")
    plain = key.lstrip("+")
    if re.match(r"hydra\b", plain):
        raise UserError(f"{argument} is about Hydra itself, which ssl-robust sets up; take it away (out= is the folder "
                        "of the results)")  # fmt: skip
    if "@" in plain:
        raise UserError(f"{argument} would put a group elsewhere; write {plain.partition('@')[0]}={value}")
    if not _KEY.fullmatch(key):
        raise UserError(
            f"{key!r} in {argument!r} names no option; expected one such as trainer.max_epochs (see --help)"
        )
    return key, value


def _unparsed(argument: str, key: str, value: str) -> str:
    """Why Hydra's grammar does not take a value."""
    shown = argument if len(argument) <= 120 else f"{argument[:100]}…"
    for opening, closing in _BRACKETS.items():
        if value.startswith(opening) and value.count(opening) > value.count(closing):
            return f"{shown!r} opens {opening} and does not close it; end the value with {closing}, the whole in quotes"
    if re.fullmatch(r"\(.*\)|\{[^:]*\}", value):
        return f"{shown!r} looks like a list, which stands in square brackets: '{key}=[{value[1:-1]}]'"
    if len(value) > 1000:
        return f"{shown!r} is too long or too deeply nested to be read; give a simpler value"
    # A list of overrides (the demo's) is a list only if its parts are in quotes, not as a whole.
    parts = value.startswith("[") and value.endswith("]") and "=" in value
    quoted = f"its parts in quotes: '{key}=[\"…\"]'" if parts else f"it in quotes: \"{key}='…'\""
    return f"{value} in {shown!r} holds characters that mean something to Hydra; put {quoted}"


def _check_several(override: Override, argument: str, key: str, value: str, sweep: bool) -> None:
    from hydra.errors import HydraException

    if not sweep and re.fullmatch(r"-?\d+,\d+", value):
        point = value.replace(",", ".")
        raise UserError(f"{argument!r} names two values; write a decimal with a point ({point}) and a list in brackets "
                        f"('{key}=[{value}]'), or add -m to run both")  # fmt: skip
    if not sweep:
        raise UserError(f"{argument!r} names several values; add -m to run them all, or quote one: \"{key}='{value}'\"")
    try:
        n = sum(1 for _ in islice(override.sweep_iterator(), _MOST + 1))
    except HydraException:  # interval(…) and glob(…)
        raise UserError(f"{argument!r} names no values to run; expected a list such as {key}=1,2,3") from None
    if not 0 < n <= _MOST:
        how_many = "no value" if n == 0 else f"more than {_MOST:,} values"
        raise UserError(f"{argument!r} names {how_many}; expected a few, as in {key}=1,2,3")
