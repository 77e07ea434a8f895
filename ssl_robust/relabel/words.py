"""What stands behind `ssl-robust relabel apply` and its like -> options; and data as the words of a command again."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ssl_robust.data.manifest import data_settings
from ssl_robust.files import UserError
from ssl_robust.quoting import PATH_OPTIONS, quote_path
from ssl_robust.settings import choices, defaults

# Texts that Hydra takes for texts without quotes.
_PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)(?:[a-z]|\.{0,2}/)[\w./-]*", re.IGNORECASE | re.ASCII)


class Option(NamedTuple):
    """What an option takes: one of `values` (none: anything), `default` where it is not given (None: it has to be)."""

    values: tuple[str, ...] = ()
    default: str | None = None


def read_words(words: Sequence[str], known: Mapping[str, Option], *, what: str, usage: str) -> dict[str, str]:
    """`key=value` words as options.

    Args:
        words: as they were typed.
        known: what there is.
        what: the command, for messages.
        usage: the shortest one that works, for messages.

    Raises:
        UserError: an option or value does not exist, or one is missing.
    """
    options = {key: option.default for key, option in known.items() if option.default is not None}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in known or not equals:
            raise UserError(f"{what} has no option {key}{_near(key, known)}; it takes {', '.join(known)}, e.g. {usage}")
        values = known[key].values
        if values and value not in values:
            raise UserError(f"{word} does not exist{_near(value, values)}; choose one of {', '.join(values)}")
        options[key] = value
    if missing := [key for key, option in known.items() if option.default is None and not options.get(key)]:
        raise UserError(f"{what} needs {missing[0]}=, e.g. {usage}")
    return options


def data_words(data: Mapping[str, Any], **values: Any) -> str:
    """The overrides that compose a `data` node, for the shell: `data=folder data.path=scans`.

    Args:
        data: the node.
        values: options that are to be another than there.
    """
    name = next(each for each in choices("data") if defaults("data", each)["_target_"] == data["_target_"])
    usual = defaults("data", name) if name == "embeddings" else data_settings(name)
    before, now = _flat(usual), _flat({**data, **values})
    changed = [_word(key, value, new=key not in before) for key, value in now.items()
               if key not in before or before[key] != value]  # fmt: skip
    return " ".join(shlex.quote(each) for each in (f"data={name}", *changed))


def _near(word: str, known: Collection[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {match[0]}" if match else ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _word(key: str, value: Any, *, new: bool) -> str:
    is_path = f"data.{key}" in PATH_OPTIONS and isinstance(value, str)  # which the command line itself quotes
    plain = is_path and value not in ("", "null") and value[0] not in "'\""
    return f"{'+' * new}data.{key}={value if plain else _written(value)}"


def _written(value: Any) -> str:
    """A value as Hydra's grammar reads it."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_written, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _PLAIN.fullmatch(value) else quote_path("", value)[1:]
