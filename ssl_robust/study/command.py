"""`ssl-robust study plan` and `ssl-robust study report`: a look at a study, and its tables made anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssl_robust.overrides import check as check_words
from ssl_robust.quoting import quote_paths
from ssl_robust.run import UserError, read_run
from ssl_robust.study.cell_settings import CellSettings
from ssl_robust.study.finished import check_grown
from ssl_robust.study.plan import in_words, make_plan
from ssl_robust.study.stage import check, read_study, recorded
from ssl_robust.study.table import collect


def plan(words: Sequence[str]) -> None:
    """Show what a study with these options would do.

    Args:
        words: its options, as they were typed.

    Raises:
        UserError: an option does not fit, or `out` holds another study.
    """
    config, _ = check_words("study", quote_paths(words, sweep=False))
    settings, grid = read_study(config)
    check_grown(Path(settings["out"]), recorded(settings, grid))
    cells = CellSettings(grid, settings)
    print(in_words(make_plan(cells, check(cells)), grid))


def report(words: Sequence[str]) -> Path:
    """Make the table of a study anew from the cells that are there.

    Args:
        words: `out=DIRECTORY`.

    Returns:
        The study's directory, whose report is to be drawn.

    Raises:
        UserError: no such option, or no study there.
    """
    option, _, value = words[0].partition("=") if len(words) == 1 else ("", "", "")
    if option != "out" or not value:
        raise UserError("study report takes out=DIRECTORY alone, the directory of a study")
    out = Path(value).expanduser()
    read_run(out, stage="study")
    print(f"{collect(out)} cells are done")
    return out
