"""What stands in a list of a study, `symmetric:0.2:by=patient`: a name, perhaps a rate, perhaps options."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import yaml

from ssl_robust.run import UserError
from ssl_robust.settings import choices, compose, config_directory, defaults

ORACLE = "_oracle"  # how strategies are named that are told the truth about the noise


@dataclass(frozen=True)
class Choice:
    """A file of a group of configurations, with the values that differ from its own.

    Attributes:
        name: of the file.
        options: (name, value) of what differs, in the order given.
        label: what tables call it: the name, and the options but the rate.
        node: the file's values with the options in their place; `${…}` is left as it is.
    """

    name: str
    options: tuple[tuple[str, Any], ...]
    label: str
    node: Mapping[str, Any]

    @property
    def rate(self) -> float | None:
        """Of a noise: 0.0 for none; with a matrix the chance of a wrong label, mean over the classes; else None."""
        if self.name == "none":
            return 0.0
        matrix = self.node.get("matrix")
        matrix = self.node.get("readers", {}).get(matrix, matrix) if isinstance(matrix, str) else matrix
        if isinstance(matrix, str):  # of a reader who does not exist, which the noise itself tells
            return None
        return self.node.get("rate") if matrix is None else round(1 - mean(row[i] for i, row in enumerate(matrix)), 4)

    @property
    def is_oracle(self) -> bool:
        """Whether it is told what no user knows."""
        return self.name.endswith(ORACLE)


def read_choices(group: str, words: Sequence[Any], option: str) -> list[Choice]:
    """Words of a list -> choices, each once.

    Args:
        group: strategy or noise.
        words: as typed, e.g. ["none", "symmetric:0.2"].
        option: of the study that they come from, for messages.

    Raises:
        UserError: no word, an unknown name or option, or a value where none fits.
    """
    if not words:
        raise UserError(f"{option}=[] leaves nothing to study; name at least one of {', '.join(choices(group))}")
    read = [_read(group, str(word), option) for word in words]
    return list({each.label + str(each.options): each for each in read}.values())


def nearest(name: str, known: Collection[str]) -> str:
    """`, did you mean …`, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {found[0]}" if found else ""


def _read(group: str, word: str, option: str) -> Choice:
    name, *parts = word.split(":")
    if name not in choices(group):
        known = choices(group)
        raise UserError(f"{option}: {name} does not exist{nearest(name, known)}; choose from {', '.join(known)}")
    node = _values(group, name)
    options: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            key, value = "rate", part
            if _number(value) is None:
                raise UserError(f"{option}: {part!r} in {word!r} is neither a rate nor option=value")
        if key not in node or key == "_target_":
            names = [each for each in node if each != "_target_"]
            has = f"it has {', '.join(names)}" if names else "it has none"
            raise UserError(f"{option}: {name} has no option {key}{nearest(key, names)}; {has}")
        options[key] = _parsed(value, node[key], f"{option}: {key}={value} in {word!r}")
    shown = [f"{key}={value}" for key, value in options.items() if key != "rate" or group == "strategy"]
    return Choice(name, tuple(options.items()), ":".join([name, *map(str, shown)]), {**node, **options})


def _values(group: str, name: str) -> dict[str, Any]:
    """The values of a file; those that build on another file's (`defaults:`) are put together by Hydra."""
    text = (config_directory() / group / f"{name}.yaml").read_text(encoding="utf-8")
    if not re.search(r"^defaults:", text, flags=re.MULTILINE):
        return defaults(group, name)
    from omegaconf import OmegaConf

    composed = compose("finetune", ["data=phantoms", "checkpoint=none", f"{group}={name}"])
    return OmegaConf.to_container(composed[group])  # type: ignore[return-value]


def _parsed(text: str, default: Any, where: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"{where} cannot be read; expected a value such as {default}") from None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, float) and not number:
        raise UserError(f"{where} does not fit; expected a number such as {default:g}")
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
