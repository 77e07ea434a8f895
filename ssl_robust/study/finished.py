"""Which cells are done, and whether what is there belongs to the study that is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_robust.run import UserError, read_json, read_run
from ssl_robust.study.cell_settings import CellSettings
from ssl_robust.study.grid import Cell, place
from ssl_robust.training.resuming import FREE, check_same, different

_GROWING = ("sets", "inits", "strategies", "noises", "seeds")  # more of these add cells
_FREE = FREE | {"workers", "title", "statistics", *_GROWING}


def is_done(directory: Path) -> bool:
    """Whether a cell has ended well and is in the study's books."""
    if not (directory / "run.json").is_file():
        return False
    try:
        run = read_json(directory / "run.json")
    except UserError:  # a kill cannot leave half of it, a full disk of old may
        return False
    return bool(run.get("finished")) and "cell" in run


def done_cells(out: Path, cells: Sequence[Cell]) -> set[Cell]:
    """Those that need not be computed."""
    return {cell for cell in cells if is_done(place(out, cell))}


def clear_away(directory: Path) -> Path:
    """What a kill or a failure has left of a cell goes: an empty place.

    Args:
        directory: of a cell that is not done.
    """
    if is_done(directory):
        raise RuntimeError(f"{directory} is done and must not be computed again")
    shutil.rmtree(directory, ignore_errors=True)
    return directory


def check_grown(out: Path, now: Mapping[str, Any]) -> None:
    """A study can be resumed as it was, or with more cells.

    Args:
        out: its directory.
        now: settings as they are asked for, lists read: what run.json holds of a study.

    Raises:
        UserError: an option differs otherwise (the message names it), or `out` is another stage's run.
    """
    if not (out / "run.json").is_file():
        return
    before = read_run(out, stage="study")["config"]
    changed = different(before, now, _FREE)
    if changed:
        name, old, new = changed[0]
        more = f" (also {', '.join(each[0] for each in changed[1:])})" if changed[1:] else ""
        raise UserError(f"cannot resume {out}: {name} was {old} and is now {new}{more}; only more {_listed()} can be "
                        "added, or choose another out=")  # fmt: skip
    for name in _GROWING:
        _check_kept(out, name, before.get(name) or [], now.get(name) or [])


def check_cells(done: set[Cell], settings: CellSettings) -> None:
    """What is finished must be what would be computed now; else tables would mix two studies.

    Args:
        done: finished cells.
        settings: of the cells.

    Raises:
        UserError: a cell was made with another option; the message names it.
    """
    for cell in done:
        check_same(settings.of(cell), stage="finetune")


def _check_kept(out: Path, name: str, before: Any, now: Any) -> None:
    lost = [each for each in before if each not in now]
    if lost:
        raise UserError(f"cannot resume {out}: {name} lacks {lost[0]}, which the study holds; name it as well, or "
                        "choose another out=")  # fmt: skip
    if isinstance(before, Mapping):
        for each in before:
            if before[each] != now[each]:
                raise UserError(f"cannot resume {out}: the set {each} was {before[each]} and is now {now[each]}; give "
                                "it another name, or choose another out=")  # fmt: skip


def _listed() -> str:
    return f"{', '.join(_GROWING[:-1])} and {_GROWING[-1]}"
