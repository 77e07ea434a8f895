"""A cell -> the settings of its fine-tuning, put together without Hydra: composing takes longer than a frozen cell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ssl_robust.data.columns import read_table
from ssl_robust.data.sources import digest
from ssl_robust.run import UserError
from ssl_robust.study.grid import Cell, Grid, place

_OWN = ("strategy", "noise", "seed", "checkpoint", "data", "out", "resume", "overwrite", "freeze", "encoder",
        "encoder_args", "encoder_file", "launcher")  # fmt: skip


class CellSettings:
    """What `finetune` would get for each cell.

    Args:
        grid: of the study.
        study: its settings, plain containers; `out`, `modes`, `finetune` and the options of encoders are read.
    """

    def __init__(self, grid: Grid, study: Mapping[str, Any]) -> None:
        self.grid, self.study = grid, study

    def check(self) -> None:
        """Refuse mistakes in what cells get, before anything runs.

        Raises:
            UserError: an override that finetune or pretrain would not take, or one that the grid has a list for.
        """
        for option in ("finetune", "pretrain"):
            for word in map(str, self.study[option]):
                name = word.partition("=")[0].lstrip("+").partition(".")[0]
                if name in _OWN or (option == "pretrain" and name == "method"):
                    raise UserError(f"{option}: {word} is for the study itself to say; take it away")
        methods = [name for name, init in self.grid.inits.items() if init.is_method]
        for source in self.grid.sources.values():
            source.check("finetune", self._overrides)
            for method in methods:
                source.check("pretrain", [f"method={method}", *map(str, self.study["pretrain"])])

    @property
    def _overrides(self) -> list[str]:
        return ["checkpoint=none", *self.study["modes"][self.grid.mode], *map(str, self.study["finetune"])]

    @cached_property
    def _bases(self) -> dict[str, dict[str, Any]]:
        """By set, resolved."""
        bases = {}
        for name, source in self.grid.sources.items():
            config = source.compose("finetune", self._overrides)
            bases[name] = OmegaConf.to_container(config, resolve=True)
        for base in bases.values():
            base.pop("launcher", None)
            base |= {name: self.study[name] for name in ("encoder", "encoder_args")}
        return bases  # type: ignore[return-value]

    def data(self, source: str) -> dict[str, Any]:
        """The `data` node of a set."""
        return self._bases[source]["data"]

    def of_init(self, source: str, init: str) -> dict[str, Any]:
        """Settings by which the scans of a set, and the encoder of a beginning, are opened."""
        checkpoint = self.grid.inits[init].of(source)
        file = self.study["encoder_file"] if checkpoint == "imagenet" else None
        return {**self._bases[source], "checkpoint": checkpoint, "encoder_file": file}

    def noise(self, cell: Cell) -> dict[str, Any]:
        """The `noise` node of a cell; what it takes from the data is in its place."""
        node = self.grid.noises[cell.noise, cell.rate].node
        return _resolved(node, {"noise": node, "data": self.data(cell.set)})

    def of(self, cell: Cell, checkpoint: str | None = None) -> dict[str, Any]:
        """All settings of a cell.

        Args:
            cell: of the grid.
            checkpoint: where a pretrained encoder lies; None: as the beginning says.
        """
        settings = {**self.of_init(cell.set, cell.init), "noise": self.noise(cell), "seed": cell.seed}
        settings["strategy"] = _resolved(self.grid.strategies[cell.strategy].node, settings)
        settings["checkpoint"] = checkpoint or settings["checkpoint"] or cell.init
        return {**settings, "out": str(place(self.study["out"], cell)), "resume": False, "overwrite": False}


def labels_fingerprint(ids: list[str], given: list[str]) -> str:
    """What every cell of a comparison must have in common: ids and labels as given, "" for none."""
    return digest(*ids, *given)


def written_fingerprint(table: Path) -> str:
    """The same of a labels.csv."""
    labels = read_table(table)
    return labels_fingerprint(labels["sample_id"].tolist(), labels["given_label"].fillna("").tolist())


def _resolved(node: Mapping[str, Any], around: Mapping[str, Any]) -> dict[str, Any]:
    """`${…}` in a node replaced by what it names in the settings around it."""
    if "${" not in str(node):
        return dict(node)
    config = OmegaConf.create({**around, "_here_": dict(node)})
    return OmegaConf.to_container(config, resolve=True)["_here_"]  # type: ignore[index, call-overload, return-value]
