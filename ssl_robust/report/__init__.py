"""Artefacts of a run directory -> one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path


def render(run_directory: str | Path) -> Path | None:
    """Write `report.html` into a run directory, from the files in it alone.

    Args:
        run_directory: of a finished check, audit, demo, pretrain, probe or finetune; or the one file of a stage.

    Returns:
        The page, or None where the stage has none.

    Raises:
        UserError: no run is there, or one of its files is missing or damaged.
    """
    if Path(run_directory).is_file():
        return None
    from ssl_robust.report.page import render_page

    return render_page(Path(run_directory))
