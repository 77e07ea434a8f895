"""The encoders of a study, before its cells: pretrained once, and what frozen cells see of them computed once."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_robust.disk import is_full
from ssl_robust.run import UserError, read_json
from ssl_robust.study.cell_settings import CellSettings
from ssl_robust.study.grid import Cell
from ssl_robust.study.material import Material

ENCODERS = "encoders"


def checkpoints_of(settings: CellSettings, cells: Sequence[Cell]) -> dict[str, str]:
    """Where the study's own encoders lie, or will lie, by name of set and encoder."""
    grid, out = settings.grid, Path(settings.study["out"])
    names = {grid.encoder_name(cell) for cell in cells if grid.inits[cell.init].is_method}
    return {name: str(out / ENCODERS / name) for name in sorted(names)}


def prepare(settings: CellSettings, material: Material, cells: Sequence[Cell]) -> dict[str, str]:
    """Pretrain and embed whatever cells start from, unless it is there.

    Args:
        settings: of the cells.
        material: of the study.
        cells: those to be computed.

    Returns:
        By name of set and encoder: why it could not be had. Its cells cannot be computed, the others can.
    """
    grid, trouble = settings.grid, {}
    firsts = {grid.encoder_name(cell): cell for cell in reversed(cells)}
    own = checkpoints_of(settings, cells)
    for name, cell in sorted(firsts.items()):
        try:
            if name in own:
                _pretrain(settings, cell, own[name])
            if grid.mode == "frozen":
                material.embed(cell, own.get(name, grid.inits[cell.init].of(cell.set)))
        except Exception as error:
            trouble[name] = reason(error, material.out)
    return trouble


def reason(error: Exception, out: Path) -> str:
    """What went wrong with one part of the study, in one line; a full disk is trouble for all of it.

    Args:
        error: what was raised.
        out: directory of the study.
    """
    if is_full(error, out):
        raise error
    if isinstance(error, UserError):
        return str(error)
    traceback.print_exception(error, file=sys.stderr)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def pretrain_seconds(checkpoint: str | None) -> float:
    """What a study's own encoder took; 0.0 for any other beginning."""
    file = Path(checkpoint or "") / "run.json"
    return float(read_json(file).get("wall_seconds", 0.0)) if checkpoint and file.is_file() else 0.0


def _pretrain(settings: CellSettings, cell: Cell, directory: str) -> None:
    from omegaconf import OmegaConf

    from ssl_robust.pretrain.stage import pretrain
    from ssl_robust.training.resuming import is_finished

    study, source = settings.study, settings.grid.sources[cell.set]
    config = source.compose("pretrain", [f"method={cell.init}", *map(str, study["pretrain"])])
    own: dict[str, Any] = {name: study[name] for name in ("encoder", "encoder_args")}
    own |= {"out": directory, "seed": study["seed"] + settings.grid.encoder_number(cell)}
    own["resume"] = (Path(directory) / "run.json").is_file()
    for name, value in own.items():
        OmegaConf.update(config, name, value, force_add=True)
    resolved: Mapping[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if (Path(directory) / "run.json").is_file() and read_json(Path(directory) / "run.json").get("finished"):
        is_finished(resolved, stage="pretrain")
        return
    print(f"\n== pretrain: {cell.init} on {cell.set}", flush=True)
    pretrain(config)
