"""Overrides as they were typed -> as Hydra's grammar reads them: any folder name reaches the stage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

# Options whose values are paths or names like them: Hydra's grammar must not read their commas and parentheses.
PATH_OPTIONS = {"data.path", "data.index", "data.labels", "data.root", "data.sheet", "data.cache_dir",
                "data.ids_folder", "out", "checkpoint", "encoder_file", "neighbors.file", "audit", "queue", "to.prefix",
                "to.probabilities", "reuse", "reference", "noise.labels", "strategy.audit",
                "sets", "run", "annotator"}  # fmt: skip
_LAUNCHERS = {"basic": "local", "submitit_slurm": "slurm"}  # Hydra's name -> ours, where they differ


def quote_paths(arguments: Sequence[str], *, sweep: bool) -> list[str]:
    """Overrides with path values quoted, so that any folder name reaches the stage as it was typed.

    Hydra's own names of launchers become ours (`hydra/launcher=submitit_slurm` -> `launcher=slurm`), whose options
    are checked and explained; `encoder_args` takes any name, with or without Hydra's `+`.

    Args:
        arguments: what was typed, flags left out.
        sweep: in a sweep, commas separate values unless the whole value is a path that exists.
    """
    return [_quote_path(argument, sweep) for argument in arguments]


def _quote_path(argument: str, sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    if key == "hydra/launcher":
        return f"launcher={_LAUNCHERS.get(value, value)}"
    if key.startswith("encoder_args.") or (key == "encoder_args" and value.startswith("{")):
        return f"+{argument}"  # timm knows what these are, the configuration does not
    if key.lstrip("+").startswith("hydra.launcher."):
        return argument.replace("hydra.", "", 1)
    if key.lstrip("+") not in PATH_OPTIONS or not equals or not value or value[0] in "'\"" or value == "null":
        return argument
    if key == "audit" and value[0] == "[":  # the demo's list of options, not a directory
        return argument
    if sweep and "," in value and not Path(value).exists():
        return argument
    return quote_path(key, value)


def gather_passed(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """Words for other stages, `pretrain.trainer.max_epochs=10`, as one list each: `pretrain=['trainer.max_epochs=10']`.

    Args:
        arguments: what was typed, flags left out.
        names: of the lists.
    """
    passed: dict[str, list[str]] = {name: [] for name in names}
    rest = []
    for argument in arguments:
        name, _, word = argument.partition(".")
        mine = name in passed and "=" in word
        (passed[name] if mine else rest).append(word if mine else argument)
    lists = {name: ",".join(quote_path("", word)[1:] for word in words) for name, words in passed.items() if words}
    return [*rest, *(f"{name}=[{words}]" for name, words in lists.items())]


def quote_path(key: str, path: str | Path) -> str:
    """`key='path'`, an override with which any path, apostrophes included, reaches the stage as it is."""
    # A backslash is special only before a quote, and at the end of the quoted text.
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", str(path))
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"{key}='{escaped}{chr(92) * trailing}'"
