"""The artefacts of a study on disk -> tables, and which test scans each cell got right."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.files import UserError, read_columns, read_json
from ssl_robust.settings import defaults

ARM = ["set", "init", "strategy", "noise", "rate"]  # what a cell is besides its seed
CLEAN = "none"  # kind of noise of a cell whose labels were left alone
_TEXTS = ["set", "init", "strategy", "noise", "cell"]


@dataclass(frozen=True)
class TestRows:
    """The test scans that all cells of one set share.

    Attributes:
        ids: (N,) of the scans.
        labels: (N,) codes of the true labels.
        groups: (N,) codes of the patients.
    """

    ids: list[str]
    labels: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Measured:
    """A study as far as it has come.

    Attributes:
        directory: of the study.
        facts: its study.json.
        cells: one row per finished cell, see cells.csv; the index counts from 0.
        tests: the test scans by set, of the sets that have a finished cell.
        difficulty: difficulty.csv, empty where there is none.
        settings: node `statistics` of the configuration.
    """

    directory: Path
    facts: Mapping[str, Any]
    cells: pd.DataFrame
    tests: Mapping[str, TestRows]
    difficulty: pd.DataFrame
    settings: Mapping[str, Any]

    @property
    def n_planned(self) -> int:
        """Cells of the whole grid."""
        facts = self.facts
        if "n_cells" in facts:
            return facts["n_cells"]
        return len(facts["sets"]) * len(facts["inits"]) * len(facts["strategies"]) * len(facts["noises"]) * len(
            facts["seeds"]
        )  # fmt: skip

    def hits(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(C, N) which test scans of a set its cells answer rightly: in the best epoch, and the share of the last five.

        The mean of five balanced accuracies is the balanced accuracy of the mean of five rows of hits, so that LAST
        can be drawn like BEST; NaN where a cell recorded only the former.
        """
        pairs = [self._of_cell(cell, self.tests[name]) for cell in self.cells["cell"][self.cells["set"] == name]]
        return np.stack([best for best, _ in pairs]), np.stack([last for _, last in pairs])

    def curve(self, cell: str) -> dict[str, np.ndarray]:
        """The columns of a cell's metrics.csv, one entry per epoch; empty where it is not there."""
        path = self.directory / cell / "metrics.csv"
        return read_columns(path) if path.exists() else {}

    def _of_cell(self, cell: str, rows: TestRows) -> tuple[np.ndarray, np.ndarray]:
        path = self.directory / cell / "predictions.csv"
        with path.open(newline="", encoding="utf-8") as file:  # pandas takes ten times as long for so few rows
            header, *table = csv.reader(file)
        place = header.index("sample_id")
        if [row[place] for row in table] != rows.ids:
            raise UserError(f"{path} ({len(table)} rows) is not about the {len(rows.ids)} scans of the set's test.csv; "
                            "delete the cell's folder and resume the study")  # fmt: skip
        label, predicted = header.index("label"), header.index("predicted")
        best = np.array([row[label] == row[predicted] for row in table], dtype=np.float64)
        if "last_correct" not in header:
            return best, np.full(len(best), np.nan)
        column = header.index("last_correct")
        return best, np.array([float(row[column]) for row in table])


def read_study(directory: Path, settings: Mapping[str, Any] | None = None) -> Measured:
    """Take in what a study has left so far.

    Args:
        directory: of the study.
        settings: node `statistics`; the packaged values stand in for what it lacks.

    Raises:
        FileNotFoundError: a file of a finished cell or set is missing.
        UserError: no cell is finished, or a file is damaged.
    """
    facts = read_json(directory / "study.json")
    cells = _table(directory / "cells.csv")
    if not len(cells):
        raise UserError(f"no cell of the study {directory} is finished yet; start it again with resume=true")
    cells = cells.drop_duplicates([*ARM, "seed"], keep="last").sort_values([*ARM, "seed"], ignore_index=True)
    tests = {name: _test_rows(directory / "sets" / name / "test.csv") for name in cells["set"].unique()}
    chosen = {**defaults("", "_statistics")["statistics"], **(settings or {})}
    return Measured(directory, facts, cells, tests, _table(directory / "difficulty.csv"), chosen)


def _table(path: Path) -> pd.DataFrame:
    from ssl_robust.data.columns import read_table

    if not path.exists() or path.stat().st_size == 0:
        return pd.DataFrame()
    table = read_table(path)
    numbers = [name for name in table if name not in _TEXTS]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    return table


def _test_rows(path: Path) -> TestRows:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    codes = (np.unique(table[name].to_numpy(dtype=str), return_inverse=True)[1] for name in ("label", "group"))
    return TestRows(table["sample_id"].tolist(), *codes)


def is_oracle(strategy: str) -> bool:
    """Whether a strategy is told something of the truth, so that it is no rival of the others."""
    return strategy.partition(":")[0].endswith("_oracle")
