"""cells.csv and study.json: what a study has found so far, read from the directories of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_robust.data.written import write_table
from ssl_robust.run import UserError, read_json, write_json
from ssl_robust.study.choice import ORACLE
from ssl_robust.study.finished import is_done
from ssl_robust.study.grid import CELLS, Grid

TABLE, ABOUT, DIFFICULTY = "cells.csv", "study.json", "difficulty.csv"
_MEASURES = ("balanced_accuracy", "macro_f1", "worst_class_recall", "auroc", "ece")
_KEYS = ("set", "init", "strategy", "noise", "rate", "seed")


def collect(out: Path) -> int:
    """Write cells.csv anew from the cells that are done, and difficulty.csv from the features that are there.

    Args:
        out: directory of the study.

    Returns:
        How many there are.
    """
    homes = sorted(home for home in (out / CELLS).glob("*") if is_done(home))
    rows = [row for home in homes if (row := _row(out, home)) is not None]
    rows.sort(key=lambda row: [str(row[key]) for key in _KEYS])
    write_table(out / TABLE, pd.DataFrame(rows, columns=columns()))
    found = [read_json(file).get("difficulty") for file in sorted((out / "features").glob("*.json"))]
    if hard := [each for each in found if each]:
        means = pd.DataFrame(hard).groupby(["set", "init"], sort=False, as_index=False).mean()  # over drawn encoders
        write_table(out / DIFFICULTY, pd.DataFrame(means))
    return len(rows)


def columns() -> list[str]:
    """Of cells.csv, in their order."""
    measured = [f"{which}_{name}" for which in ("best", "last") for name in _MEASURES]
    measured.insert(len(_MEASURES), "best_epoch")
    return [*_KEYS, "n_train", "n_test", "n_classes", "realised_rate", *measured, "best_memorised", "last_memorised",
            "seconds", "pretrain_seconds", "cell", "oracle", "labels"]  # fmt: skip


def write_about(out: Path, grid: Grid, settings: Mapping[str, Any], failed: Sequence[Mapping[str, str]]) -> None:
    """Write study.json: the axes of the grid, the command without paths, and the cells that could not be computed.

    Args:
        out: directory of the study.
        grid: of the study.
        settings: of the study, as typed.
        failed: `{"cell", "error"}` each.
    """
    write_json(
        out / ABOUT,
        {
            "title": settings["title"] or f"Label noise on {', '.join(grid.sources)}",
            "sets": list(grid.sources),
            "inits": list(grid.inits),
            "strategies": list(grid.strategies),
            "oracles": [name for name, each in grid.strategies.items() if each.is_oracle],
            "noises": [{"kind": kind, "rate": rate} for kind, rate in grid.noises],
            "seeds": list(grid.seeds),
            "mode": grid.mode,
            "commands": [_command(grid, settings)],
            "n_cells": len(grid.cells()),
            "failed": list(failed),
        },
    )


def _row(out: Path, home: Path) -> dict[str, Any] | None:
    try:
        run, found = read_json(home / "run.json"), read_json(home / "metrics.json")
        best, last = found["best"], found["last"]
        values = {f"{which}_{name}": of[name] for which, of in (("best", best), ("last", last)) for name in
                  (*_MEASURES, "memorised")}  # fmt: skip
        return {
            **run["cell"], **values, "best_epoch": best["epoch"], "n_train": found["n_train"],
            "n_test": found["n_test"], "n_classes": len(found["classes"]),
            "realised_rate": found["noise"]["realised_rate"], "seconds": run.get("seconds"),
            "pretrain_seconds": run.get("pretrain_seconds", 0.0), "cell": home.relative_to(out).as_posix(),
            "oracle": run["cell"]["strategy"].partition(":")[0].endswith(ORACLE), "labels": run["labels_fingerprint"],
        }  # fmt: skip
    except (KeyError, UserError) as error:
        print(f"Note: {home} is left out of {TABLE}, as it cannot be read ({error}); delete it and resume the study")
        return None


def _command(grid: Grid, settings: Mapping[str, Any]) -> str:
    """What was typed, without paths, which name people and machines."""
    data = "sets=…" if settings["sets"] is not None else "data=…"
    lists = {"inits": grid.inits, "strategies": settings["strategies"], "noises": settings["noises"]}
    words = [f"'{name}=[{','.join(_quoted(each) for each in values)}]'" for name, values in lists.items()]
    words.append(f"'seeds=[{','.join(map(str, grid.seeds))}]'")
    passed = [f"'{stage}.{word}'" for stage in ("finetune", "pretrain") for word in settings[stage] if "/" not in word]
    return " ".join(["ssl-robust study", data, *words, f"mode={grid.mode}", *passed, "out=…"])


def _quoted(word: Any) -> str:
    return f'"{word}"' if ":" in str(word) else str(word)
