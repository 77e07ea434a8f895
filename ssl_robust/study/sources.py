"""The data sets of a study: the one of `data=`, or those that a file names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ssl_robust.files import existing
from ssl_robust.overrides import check
from ssl_robust.quoting import quote_paths
from ssl_robust.run import UserError
from ssl_robust.settings import compose

if TYPE_CHECKING:
    from omegaconf import DictConfig

_SAY_NOTHING = ("labels", "index", "manifest", "data")  # names of files that do not say of what


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        name: what tables and folders call it.
        overrides: of every stage that reads it.
        data: the `data` node itself, where it was given as `data=`; None: the overrides say it.
    """

    name: str
    overrides: tuple[str, ...]
    data: Mapping[str, Any] | None = None

    def compose(self, stage: str, overrides: Sequence[str]) -> DictConfig:
        """The configuration of a stage that reads this set.

        Args:
            stage: name of the stage.
            overrides: further ones.
        """
        config = compose(stage, [*self.overrides, *quote_paths(overrides, sweep=False)])
        if self.data is not None:
            config.data = dict(self.data)
        return config

    def check(self, stage: str, overrides: Sequence[str]) -> None:
        """Refuse overrides that the stage would not take, before anything runs.

        Args:
            stage: name of the stage.
            overrides: as for `compose`.

        Raises:
            UserError: one of them is a mistake; the message names the set.
        """
        try:
            check(stage, [*self.overrides, *quote_paths(overrides, sweep=False)])
        except UserError as error:
            raise UserError(f"set {self.name}: {error}") from None


def read_sources(settings: Mapping[str, Any]) -> list[Source]:
    """`sets=` or `data=` -> the data sets.

    Args:
        settings: of the study.

    Raises:
        UserError: neither or both are given, or the file is no mapping of names to lists of overrides.
    """
    if settings["sets"] is None:
        if settings.get("data") is None:
            raise UserError("the study has no data; give one set as data=, or several as sets=FILE.yaml")
        return [_of_data(settings["data"])]
    if settings.get("data") is not None:
        raise UserError("sets= names the data sets and data= one more; keep one of them")
    if not isinstance(settings["sets"], str):
        return _of_mapping(settings["sets"], "sets")
    path = existing(settings["sets"], "sets")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).partition("\n")[0]
        raise UserError(f"sets={path} is no YAML ({first}); expected lines such as chest: [data=npz, …]") from None
    return _of_mapping(values, f"sets={path}")


def slug(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^\w.+]+", "_", text).strip("_.")


def _of_data(data: Mapping[str, Any]) -> Source:
    kind = str(data["_target_"]).rpartition(".")[2].removeprefix("read_")
    place = Path(str(data["path"])) if data.get("path") else None
    stem = kind if place is None else place.resolve().parent.name if place.stem in _SAY_NOTHING else place.stem
    return Source(slug(stem) or kind, ("data=phantoms",), data)


def _of_mapping(values: Any, where: str) -> list[Source]:
    example = "expected a name each and a list of overrides, such as chest: [data=npz, data.path=chest.npz]"
    if not isinstance(values, Mapping) or not values:
        raise UserError(f"{where} is no mapping; {example}")
    sources = []
    for name, overrides in values.items():
        if not isinstance(overrides, list) or not all(isinstance(each, str) for each in overrides):
            raise UserError(f"{where}: {name} is not a list of texts; {example}")
        if slug(str(name)) != str(name):
            raise UserError(f"{where}: the name {str(name)!r} is used for folders; take letters, digits, _ . and +")
        sources.append(Source(str(name), tuple(quote_paths(overrides, sweep=False))))
    return sources
