"""Frozen cells in this process or in a few; neighbours stay together, as they share what is believed of labels."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path
from typing import Any

from ssl_robust.run import progress
from ssl_robust.study.beginnings import reason
from ssl_robust.study.frozen import FrozenCells
from ssl_robust.study.grid import Cell, Grid

_own: list[FrozenCells] = []  # of a worker's process, which gets cells alone


def run_cells(
    grid: Grid, study: Mapping[str, Any], cells: Sequence[Cell], checkpoints: Mapping[str, str]
) -> list[dict[str, str]]:
    """Compute cells.

    Args:
        grid: of the study.
        study: its settings; `out` and `workers` are read.
        cells: those to be computed.
        checkpoints: of the beginnings that were pretrained.

    Returns:
        `{"cell", "error"}` of those that failed.
    """
    if not cells:
        return []
    blocks = [list(block) for _, block in groupby(cells, key=lambda cell: cell.block)]
    workers = min(study["workers"], len(blocks))
    made = grid, dict(study), dict(checkpoints)
    ends = _here(made, cells) if workers == 1 else _elsewhere(made, blocks, workers)
    failed = []
    for cell, error in progress(ends, total=len(cells), what="cells"):
        if error:
            print(f"{cell.name} failed: {error}", flush=True)
            failed.append({"cell": cell.name, "error": error})
    return failed


def _here(made: tuple[Any, ...], cells: Sequence[Cell]) -> Iterator[tuple[Cell, str]]:
    runner = FrozenCells(*made)
    return (_attempt(runner, cell) for cell in cells)


def _elsewhere(made: tuple[Any, ...], blocks: Sequence[Sequence[Cell]], workers: int) -> Iterator[tuple[Cell, str]]:
    # Spawned, as a fork would share threads and locks of torch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=made) as pool:
        futures = [pool.submit(_run_block, block) for block in blocks]
        try:
            for future in as_completed(futures):
                yield from future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(grid: Grid, study: Mapping[str, Any], checkpoints: Mapping[str, str]) -> None:
    from ssl_robust.sweep.job import limit_threads

    limit_threads(max(1, (multiprocessing.cpu_count()) // study["workers"]))
    _own.append(FrozenCells(grid, study, checkpoints))


def _run_block(cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
    return [_attempt(_own[0], cell) for cell in cells]


def _attempt(runner: FrozenCells, cell: Cell) -> tuple[Cell, str]:
    try:
        runner.run(cell)
    except Exception as error:
        return cell, reason(error, Path(runner.material.out))
    return cell, ""
