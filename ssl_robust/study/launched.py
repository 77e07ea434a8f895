"""Cells whose encoder learns: each a run of `finetune` that Hydra's launcher starts, here or on a cluster.

A process is told no more than its number: what its cell is stands in a file of the study's directory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust.quoting import quote_path
from ssl_robust.run import UserError, read_json, write_json
from ssl_robust.settings import choices, defaults
from ssl_robust.study.beginnings import pretrain_seconds
from ssl_robust.study.cell_settings import CellSettings, written_fingerprint
from ssl_robust.study.finished import clear_away
from ssl_robust.study.grid import CELLS, Cell
from ssl_robust.study.material import Material
from ssl_robust.sweep.launch import run_jobs

if TYPE_CHECKING:
    from omegaconf import DictConfig

JOBS = ".jobs"


def run_cells(
    settings: CellSettings, material: Material, cells: Sequence[Cell], checkpoints: Mapping[str, str], launcher: Any
) -> list[dict[str, str]]:
    """Compute cells; what is half done goes on from its last checkpoint.

    Args:
        settings: of the cells.
        material: of the study.
        cells: those to be computed.
        checkpoints: of the beginnings that were pretrained.
        launcher: that node of the study's configuration, None: here, one after the other.

    Returns:
        `{"cell", "error"}` of those that failed.
    """
    jobs, failed = [], []
    for cell in cells:
        checkpoint = checkpoints.get(settings.grid.encoder_name(cell))
        try:
            labels = material.labels_fingerprint(cell)
        except UserError as error:  # a seed that leaves a class without a label
            failed.append({"cell": cell.name, "error": str(error)})
            continue
        facts = {"cell": cell.facts(), "labels": labels, "pretrain_seconds": pretrain_seconds(checkpoint)}
        jobs.append({"name": cell.name, "settings": settings.of(cell, checkpoint), **facts})
    return [*failed, *_launched(material.out, jobs, launcher or {})]


def _launched(out: Path, jobs: Sequence[dict[str, Any]], launcher: Any) -> list[dict[str, str]]:
    """Have the jobs done; those that failed."""
    if not jobs:
        return []
    for number, job in enumerate(jobs):
        write_json(out / JOBS / f"{job['name']}.json", {**job, "place": [number + 1, len(jobs), time.time()]})
    # A job knows its cell by its number, so that Hydra has to be asked for as many runs as there are, no more.
    words = [quote_path("out", out / CELLS), f"+number={','.join(map(str, range(len(jobs))))}", *_words(launcher)]
    names = [job["name"] for job in jobs]
    outcomes, trouble = run_jobs("study", words, launcher, names, run_one, home=out)
    return [
        {"cell": name, "error": each.get("error") or trouble or each["status"]}
        for name, each in zip(names, outcomes, strict=True)
        if each["status"] not in ("done", "done before")
    ]


def run_one(stage: str, config: DictConfig, overrides: None) -> None:
    """What a launcher's process does: the cell whose directory is `config.out`.

    Args:
        stage: not read; as a sweep calls it.
        config: `out` is read.
        overrides: not read.

    Raises:
        UserError: the fine-tuning cannot be done, or its labels are not those of the study.
    """
    from omegaconf import OmegaConf

    from ssl_robust.finetune.stage import finetune

    directory = Path(config.out)
    job = read_json(directory.parent.parent / JOBS / f"{directory.name}.json")
    _say(job["place"], directory.name)
    run = read_json(directory / "run.json") if (directory / "run.json").is_file() else {}
    if not run:
        clear_away(directory)
    if not run.get("finished"):
        settings = {**job["settings"], "resume": bool(run)}
        finetune(OmegaConf.create(settings))
    _enter(directory, job)


def _enter(directory: Path, job: Mapping[str, Any]) -> None:
    """Put a finished run into the study's books, if it had the study's labels."""
    found = written_fingerprint(directory / "labels.csv")
    if found != job["labels"]:
        raise UserError(
            f"{directory.name} was trained on other labels than the cells it is compared with, as its encoder sees the "
            "scans at another size; give all of them one: data.image_size=64"
        )
    run = read_json(directory / "run.json")
    write_json(
        directory / "run.json",
        {**run, "cell": job["cell"], "labels_fingerprint": found, "seconds": run["wall_seconds"],
         "pretrain_seconds": job["pretrain_seconds"]},
    )  # fmt: skip


def _say(place: Sequence[float], name: str) -> None:
    number, total, started = place
    done = number - 1
    left = f", {(time.time() - started) / done * (total - done) / 60:.0f} min left" if done else ""
    print(f"cell {number} of {total}{left}: {name}", flush=True)


def _words(launcher: Any) -> list[str]:
    """The launcher as it would be typed."""
    if not launcher:
        return []
    name = next(
        each for each in choices("launcher") if defaults("launcher", each).get("_target_") == launcher["_target_"]
    )
    usual = defaults("launcher", name)
    changed = {key: value for key, value in launcher.items() if key not in usual or usual[key] != value}
    plus = {key: "" if key in usual else "+" for key in changed}
    return [f"launcher={name}", *(f"{plus[key]}launcher.{key}={json.dumps(value)}" for key, value in changed.items())]
