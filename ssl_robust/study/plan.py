"""What a study will do: its cells, those that are done, and the time that the others will take."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from ssl_robust.run import UserError, read_json
from ssl_robust.study.beginnings import checkpoints_of
from ssl_robust.study.cell_settings import CellSettings
from ssl_robust.study.finished import done_cells
from ssl_robust.study.grid import Cell, Grid, place

# Measured on one core, 4000 training scans of 512 features: an epoch's measures, and what a scan costs in it.
_EPOCH_SECONDS, _SCAN_SECONDS = 0.02, 1.2e-5


class Planned(NamedTuple):
    """What is known of a study before it goes on.

    Attributes:
        cells: all of them.
        done: those that are finished.
        encoders: names of encoders that have to be pretrained first.
        seconds: that the other cells will take; None where nothing is known of them.
        measured: whether that is from finished cells.
    """

    cells: list[Cell]
    done: set[Cell]
    encoders: list[str]
    seconds: float | None
    measured: bool


def make_plan(settings: CellSettings, sizes: Mapping[str, int]) -> Planned:
    """Look at what there is; nothing is written.

    Args:
        settings: of the cells.
        sizes: scans of each set.
    """
    grid, out = settings.grid, Path(settings.study["out"])
    cells = grid.cells()
    done = done_cells(out, cells)
    pending = [cell for cell in cells if cell not in done]
    encoders = [name for name, home in checkpoints_of(settings, pending).items() if not _is_finished(Path(home))]
    known = _measured(out, done)
    each = [_seconds(cell, known, settings, sizes) for cell in pending]
    seconds = None if None in each else sum(filter(None, each)) / _at_once(settings.study, grid)
    return Planned(cells, done, encoders, seconds, bool(known))


def in_words(planned: Planned, grid: Grid) -> str:
    """For a screen."""
    axes = {
        "sets": grid.sources, "inits": grid.inits, "strategies": grid.strategies,
        "noises": [f"{noise}" + (f":{rate:g}" if rate else "") for noise, rate in grid.noises], "seeds": grid.seeds,
    }  # fmt: skip
    lines = [f"{name + ':':<12}{', '.join(map(str, values))}" for name, values in axes.items()]
    counts, done = (Counter((cell.set, cell.init) for cell in some) for some in (planned.cells, planned.done))
    lines += [f"{len(planned.cells)} cells, {len(planned.done)} of them done ({grid.mode} mode):"]
    lines += [f"  {source}, {init}: {n}, {done[source, init]} done" for (source, init), n in counts.items()]
    if planned.encoders:
        lines.append(f"first pretrains {len(planned.encoders)}: {', '.join(planned.encoders)}; how long that takes "
                     "says `ssl-robust doctor pretrain …`")  # fmt: skip
    left = len(planned.cells) - len(planned.done)
    if not left:
        return "\n".join([*lines, "nothing is left to be done"])
    if planned.seconds is None:
        took = "no cell is finished yet to tell how long; `ssl-robust doctor finetune …` estimates one"
    else:
        by = "as long as those that are done" if planned.measured else "by a rule, as none is done yet"
        took = f"about {duration(planned.seconds)} for the other {left} cells ({by})"
    return "\n".join([*lines, took])


def duration(seconds: float) -> str:
    """`40 s`, `12 min` or `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _seconds(
    cell: Cell, known: Mapping[tuple[str, ...], float], settings: CellSettings, sizes: Mapping[str, int]
) -> float | None:
    """That a cell will take, by the finished cells that are most like it, else by a rule."""
    for key in ((cell.set, cell.strategy), (cell.strategy,), ()):
        if key in known:
            return known[key]
    if settings.grid.mode != "frozen":
        return None
    epochs = settings.of_init(cell.set, cell.init)["trainer"]["max_epochs"]
    return epochs * (_EPOCH_SECONDS + _SCAN_SECONDS * sizes[cell.set])


def _measured(out: Path, done: set[Cell]) -> dict[tuple[str, ...], float]:
    """Mean seconds of finished cells by set and strategy, by strategy, and of all."""
    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for cell in done:
        try:
            seconds = float(read_json(place(out, cell) / "run.json")["seconds"])
        except (KeyError, UserError):
            continue
        for key in ((cell.set, cell.strategy), (cell.strategy,), ()):
            found[key].append(seconds)
    return {key: mean(values) for key, values in found.items()}


def _at_once(study: Mapping[str, Any], grid: Grid) -> int:
    """Cells that run at the same time."""
    if grid.mode == "frozen":
        return study["workers"]
    launcher = study.get("launcher") or {}
    return max(1, launcher.get("n_jobs") or launcher.get("array_parallelism") or 1)


def _is_finished(directory: Path) -> bool:
    file = directory / "run.json"
    return file.is_file() and bool(read_json(file).get("finished"))
