"""What `--help` says of a stage: each choice and each option with the comment that stands beside it in its YAML.

A default and its reason have one home, the YAML; the help reads both there.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust.overrides import required_groups
from ssl_robust.settings import choices, config_directory

if TYPE_CHECKING:
    from omegaconf import DictConfig

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[\w.]+):(?P<rest>.*)$")
_COMMENT = re.compile(r"(?:^|\s)# (?P<text>.*)$")
_WIDEST = 120  # characters of a line; longer ones are hard to read
_HOW = (
    "Every option is key=value; a dot goes one level down (trainer.max_epochs=50). Values with brackets or braces "
    "stand in single quotes ('rates=[0.2,0.4]')."
)
_GROUPS = "Whole groups are chosen by name (* = whose options stand below; give others to see theirs):"


def help_text(stage: str, config: DictConfig, groups: Mapping[str, str]) -> str:
    """The options of a stage, one a line: `name=default` and what it means.

    Args:
        stage: name of its root file.
        config: the composed configuration of the stage.
        groups: the choice of each of its groups, `{"views": "scan", …}`.

    Returns:
        Lines as wide as the terminal, at most 120 characters.
    """
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    lines = textwrap.wrap(_HOW, width)
    required = required_groups(stage)
    to_choose = [group for group in sorted(groups) if len(choices(group)) > 1]
    if to_choose:
        lines += ["", *textwrap.wrap(_GROUPS, width)]
    for group in to_choose:
        lines += ["", f"{group}=" + (" (must be given)" if group in required else "")]
        for choice in choices(group):
            mark = "*" if choice == groups[group] else " "
            lines += _columns(f"{mark} {choice}", _summary(group, choice), width)
    comments = _comments(stage, groups)
    lines += ["", "Options and their values (??? = must be given):"]
    section = None
    for name, value in _leaves(config):
        if section != (section := name.partition(".")[0] if name.partition(".")[0] in groups else ""):
            lines.append("")
        for node in _nodes(name)[:-1]:
            if node in comments:
                lines += _columns(f"  {node}:", comments.pop(node), width)
        lines += _columns(f"  {name}={value}", comments.get(name, ""), width)
    return "\n".join(lines)


def _comments(stage: str, groups: Mapping[str, str]) -> dict[str, str]:
    """Option or node of a stage -> its comment."""
    comments: dict[str, str] = {}
    for shared in sorted(config_directory().glob("_*.yaml")):  # of which a root takes in some
        comments |= option_comments(shared)
    for group, choice in groups.items():
        comments |= {f"{group}.{name}": text for name, text in _of_choice(group, choice).items()}
    return comments | option_comments(config_directory() / f"{stage}.yaml")


def _nodes(name: str) -> list[str]:
    """`a.b.c` -> a, a.b, a.b.c."""
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def _of_choice(group: str, choice: str) -> dict[str, str]:
    """Comments of one group file and of those that it takes in (`defaults: [_common, _self_]`)."""
    import yaml

    file = config_directory() / group / f"{choice}.yaml"
    parents = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("defaults", [])
    found: dict[str, str] = {}
    for parent in parents:
        if isinstance(parent, str) and parent != "_self_":
            found |= _of_choice(group, parent)
    return found | option_comments(file)


def option_comments(file: Path) -> dict[str, str]:
    """Dotted option -> the comment at the end of its line; a comment within a list belongs to the list.

    Args:
        file: a YAML of `configs/`.
    """
    comments: dict[str, str] = {}
    path: list[tuple[int, str]] = []  # indent and key of the nodes that the line is in
    for line in file.read_text(encoding="utf-8").splitlines():
        comment = _COMMENT.search(line)
        if match := _LINE.match(line):
            indent = len(match["indent"])
            path = [*(node for node in path if node[0] < indent), (indent, match["key"])]
        if comment and path and line.strip()[0] != "#":
            comments.setdefault(".".join(key for _, key in path), comment["text"])
    return comments


def _summary(group: str, choice: str) -> str:
    """The first line of a choice's YAML, which says what it is; below Hydra's own line where there is one."""
    lines = (config_directory() / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if not line.startswith("# @"))
    return first[2:] if first.startswith("# ") else ""


def _leaves(config: DictConfig) -> Iterator[tuple[str, str]]:
    """Options by dotted name with their values as one writes them on the command line, in the order of the files."""
    from omegaconf import OmegaConf

    def walk(node: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        for key, value in node.items():
            if isinstance(value, dict) and value:
                yield from walk(value, f"{prefix}{key}.")
            elif key != "_target_":
                yield f"{prefix}{key}", _written(value)

    yield from walk(OmegaConf.to_container(config, resolve=False), "")  # type: ignore[arg-type]


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(f'"{each}"' if "=" in str(each) else _written(each) for each in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if value != "" else "''"


def _columns(left: str, right: str, width: int) -> list[str]:
    """A line of two columns, the right one wrapped; below each other where the terminal is narrow."""
    margin = 34 if width >= 80 else 6
    wrapped = textwrap.wrap(right, max(20, width - margin)) or [""]
    if len(left) < margin - 1 and width >= 80:
        return [f"{left:<{margin}}{wrapped[0]}".rstrip(), *(" " * margin + line for line in wrapped[1:])]
    return [left, *(" " * margin + line for line in wrapped if line)]
