"""`ssl-robust study`: a grid of trainings under label noise -> a directory each, and a table of what they measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ssl_robust.data.scanset import find_scans
from ssl_robust.run import NotFine, Run
from ssl_robust.study.beginnings import checkpoints_of, prepare
from ssl_robust.study.cell_settings import CellSettings
from ssl_robust.study.finished import check_cells, check_grown, done_cells
from ssl_robust.study.grid import Cell, Grid, read_grid
from ssl_robust.study.inits import check_imagenet
from ssl_robust.study.material import Material, check_noises
from ssl_robust.study.plan import in_words, make_plan
from ssl_robust.study.table import collect, write_about

if TYPE_CHECKING:
    from omegaconf import DictConfig


def study(config: DictConfig) -> Path:
    """Compute all cells that are not there yet.

    Args:
        config: composed from `configs/study.yaml`.

    Returns:
        The run directory: cells/, labels/, sets/, features/, encoders/, cells.csv, study.json, run.json, config.yaml.

    Raises:
        UserError: an option does not fit, or the study that is to be resumed was another one.
        NotFine: some cells could not be computed; the others are there.
    """
    settings, grid = read_study(config)
    cells = CellSettings(grid, settings)
    if settings["resume"]:
        check_grown(Path(settings["out"]), recorded(settings, grid))
    sizes = check(cells)
    print(in_words(make_plan(cells, sizes), grid), flush=True)
    with Run(settings["out"], stage="study", config=recorded(settings, grid), resume=settings["resume"],
             overwrite=settings["overwrite"]) as run:  # fmt: skip
        failed: list[dict[str, str]] = []
        write_about(run.path, grid, settings, failed)  # first, so that a study that is under way can be reported
        try:
            _compute(cells, run.path, failed)
        finally:
            n_done = collect(run.path)
            write_about(run.path, grid, settings, failed)
            run.note(n_cells=len(grid.cells()), n_done=n_done)
        if failed:
            raise NotFine(_told(failed, len(grid.cells())), run.path)
    return run.path


def read_study(config: DictConfig) -> tuple[dict[str, Any], Grid]:
    """A study's configuration -> its settings and grid.

    Args:
        config: composed from `configs/study.yaml`.

    Raises:
        UserError: an option does not fit.
    """
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    grid = read_grid(settings)
    if "imagenet" in grid.inits:
        check_imagenet(settings["encoder"], settings["encoder_file"])
    return settings, grid


def recorded(settings: Mapping[str, Any], grid: Grid) -> dict[str, Any]:
    """What run.json holds of a study: its lists as they were read, and what its file of sets said."""
    lists = {
        "inits": [str(each) for each in settings["inits"]],
        "strategies": list(grid.strategies),
        "noises": [f"{kind}:{rate}" for kind, rate in grid.noises],
        "seeds": list(grid.seeds),
    }
    named = {name: list(each.overrides) for name, each in grid.sources.items() if each.data is None}
    own = {name: value for name, value in settings.items() if name != "launcher"}
    return {**own, **lists, "sets": named or None}


def check(cells: CellSettings) -> dict[str, int]:
    """Everything that can be refused before anything is computed.

    Args:
        cells: settings of the cells.

    Returns:
        Scans of each set.

    Raises:
        UserError: an override, a set or a noise does not fit.
    """
    cells.check()
    manifests = {name: find_scans(cells.data(name)).manifest for name in cells.grid.sources}
    check_noises(cells, manifests)
    return {name: len(manifest) for name, manifest in manifests.items()}


def _compute(cells: CellSettings, out: Path, failed: list[dict[str, str]]) -> None:
    """Sets, encoders and cells that are missing; what fails goes into `failed`."""
    grid, material = cells.grid, Material(out, cells)
    for name in grid.sources:
        material.write_set(name)
    every = grid.cells()
    own = checkpoints_of(cells, every)
    done = done_cells(out, every)
    check_cells(done, cells)
    pending = [cell for cell in every if cell not in done]
    trouble = prepare(cells, material, pending)
    lost = [cell for cell in pending if grid.encoder_name(cell) in trouble]
    failed += [{"cell": cell.name, "error": trouble[grid.encoder_name(cell)]} for cell in lost]
    failed += _run(cells, material, [cell for cell in pending if cell not in set(lost)], own)


def _run(cells: CellSettings, material: Material, pending: list[Cell], own: Mapping[str, str]) -> list[dict[str, str]]:
    if not pending:
        return []
    if cells.grid.mode == "frozen":
        from ssl_robust.study.pool import run_cells

        return run_cells(cells.grid, cells.study, pending, own)
    from ssl_robust.study.launched import run_cells as launch_cells

    return launch_cells(cells, material, pending, own, cells.study.get("launcher"))


def _told(failed: list[dict[str, str]], total: int) -> str:
    shown = "; ".join(f"{each['cell']} ({each['error']})" for each in failed[:3])
    more = f"; and {len(failed) - 3} more, see study.json" if failed[3:] else ""
    return f"{len(failed)} of {total} cells could not be computed: {shown}{more}; resume=true tries them again"
