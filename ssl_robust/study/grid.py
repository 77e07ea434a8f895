"""A study's options -> its cells, known before the first of them runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssl_robust.run import UserError
from ssl_robust.study.choice import Choice, read_choices
from ssl_robust.study.inits import Init, read_inits
from ssl_robust.study.sources import Source, read_sources, slug

CELLS = "cells"


@dataclass(frozen=True)
class Cell:
    """One training of the grid; plain values, as they stand in the table.

    Attributes:
        set: name of the data set.
        init: name of the beginning.
        strategy: label of the strategy.
        noise: label of the noise.
        rate: of the noise, 0.0 for none, None where a matrix takes its place.
        seed: of noise, heads and order.
    """

    set: str
    init: str
    strategy: str
    noise: str
    rate: float | None
    seed: int

    @property
    def labels(self) -> str:
        """Name of its label table, which it shares with every strategy and beginning."""
        rate = "" if self.noise == "none" or self.rate is None else f"-{self.rate:g}"
        return f"{slug(self.set)}-{slug(self.noise)}{rate}-{self.seed}"

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{slug(self.init)}-{slug(self.strategy)}-{self.labels}"

    @property
    def block(self) -> tuple[Any, ...]:
        """What the strategies of a comparison share: features, labels, and what is believed of them."""
        return self.seed, self.set, self.init, self.noise, self.rate

    def facts(self) -> dict[str, Any]:
        """By name, for run.json and the table."""
        return asdict(self)


@dataclass(frozen=True)
class Grid:
    """Everything that a study varies.

    Attributes:
        sources: data sets by name.
        inits: beginnings by name.
        strategies: by label.
        noises: by label and rate.
        seeds: of the cells.
        encoder_seeds: how many encoders a drawn beginning has per set.
        mode: frozen or finetune.
    """

    sources: dict[str, Source]
    inits: dict[str, Init]
    strategies: dict[str, Choice]
    noises: dict[tuple[str, float | None], Choice]
    seeds: tuple[int, ...]
    encoder_seeds: int
    mode: str

    def cells(self) -> list[Cell]:
        """All of them, seed by seed, so that an unfinished study is a whole one with fewer seeds."""
        return [
            Cell(source, init, strategy, noise, rate, seed)
            for seed in self.seeds
            for source in self.sources
            for init in self.inits
            for noise, rate in self.noises
            for strategy in self.strategies
        ]

    def encoder_number(self, cell: Cell) -> int:
        """Which of the encoders of its beginning a cell starts from."""
        return cell.seed % self.encoder_seeds if self.inits[cell.init].is_drawn else 0

    def encoder_name(self, cell: Cell) -> str:
        """Of that encoder's files."""
        number = self.encoder_number(cell)
        return f"{slug(cell.set)}-{slug(cell.init)}" + (f"-{number}" if number else "")


def read_grid(settings: Mapping[str, Any]) -> Grid:
    """The grid that a study's options describe, checked as far as it can be without the data.

    Args:
        settings: composed from `configs/study.yaml`, plain containers.

    Raises:
        UserError: a name, number or file does not fit.
    """
    mode = settings["mode"]
    if mode not in settings["modes"]:
        raise UserError(f"mode={mode} does not exist; choose one of {', '.join(settings['modes'])}")
    for name in ("encoder_seeds", "workers"):
        if settings[name] < 1:
            raise UserError(f"{name}={settings[name]} does not fit; expected a whole number, at least 1")
    noises = read_choices("noise", settings["noises"], "noises")
    if any(each.name == "recorded" for each in noises):
        raise UserError("noises: recorded labels are those of one run; take them away, a study draws its own")
    grid = Grid(
        {each.name: each for each in read_sources(settings)},
        {each.name: each for each in read_inits(settings["inits"], mode=mode)},
        {each.label: each for each in read_choices("strategy", settings["strategies"], "strategies")},
        {(each.label, each.rate): each for each in noises},
        read_seeds(settings["seeds"], settings["seed"]),
        settings["encoder_seeds"],
        mode,
    )
    for init in grid.inits.values():
        init.check(grid.sources)
    names = [cell.name for cell in grid.cells()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"two cells would share the folder {twice}; rename a set, or leave one of the options out")
    return grid


def read_seeds(value: Any, first: int) -> tuple[int, ...]:
    """`seeds=3` -> that many from the first on; a list as it is.

    Raises:
        UserError: neither.
    """
    if re.fullmatch(r"[0-9]{1,4}", str(value)) and int(value):
        return tuple(range(first, first + int(value)))
    if isinstance(value, list) and value and all(type(each) is int and each >= 0 for each in value):
        return tuple(dict.fromkeys(value))
    raise UserError(f"seeds={value} does not fit; expected how many, e.g. 3, or a list such as [0,1,2]")


def place(out: str | Path, cell: Cell) -> Path:
    """Directory of a cell."""
    return Path(out) / CELLS / cell.name
