"""A sweep from its command line to its table: Hydra starts the runs, their outcomes are read from files.

Hydra's own launchers hand results back only if every run ends well, and never out of `hydra.main`: a run that a
cluster kills would take the others' results with it. Files survive it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust import processes
from ssl_robust.quoting import quote_path
from ssl_robust.run import UserError
from ssl_robust.settings import config_directory
from ssl_robust.sweep.job import Job, read_outcome
from ssl_robust.sweep.plan import Planned, plan
from ssl_robust.sweep.table import headline, lines, write

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Class that `launcher._target_` names -> what Hydra calls it.
_HYDRA_NAMES = {"JoblibLauncher": "joblib", "LocalLauncher": "submitit_local", "SlurmLauncher": "submitit_slurm"}
_OWN = ("_target_", "threads")  # options of `launcher` that are not the launcher's
_ENDED = ("done", "done before")
FILES = ".sweep"  # of launchers: what runs say, and submitit's files of its jobs


def sweep(stage: str, overrides: Sequence[str], config: DictConfig, execute: Callable[..., None]) -> int:
    """Run all that the overrides name.

    Args:
        stage: name of the stage.
        overrides: what was typed, checked, with paths quoted.
        config: what the first run is composed to; its `launcher` starts them all.
        execute: runs the stage: `execute(stage, config, None)`; a function that another process can import.

    Returns:
        Exit code: 0, or 2 if a run did not come to its end.

    Raises:
        UserError: the launcher is not installed or cannot be swept over, or several processes were started.
    """
    if processes.count() > 1:
        raise UserError(
            f"{processes.count()} processes were started, each of which would do the whole sweep; start one"
        )
    launcher = config.get("launcher") or {}
    runs = plan(overrides, out=str(config.out))
    if clashing := [key for key in runs[0].values if key.partition(".")[0] == "launcher"]:
        raise UserError(f"{clashing[0]}= starts the whole sweep, it can have one value only; give a single one")
    with _prepared(stage, launcher, [each.label for each in runs], execute, Path(runs[0].home)) as (job, folder):
        trouble = ""
        try:
            trouble = _start(job, stage, [*overrides, *hydra_overrides(launcher, folder)])
        finally:
            rows = _finish(stage, runs, folder, trouble)
    return 0 if all(row["status"] in _ENDED for row in rows) else 2


def run_jobs(
    stage: str, overrides: Sequence[str], launcher: Any, labels: Sequence[str], execute: Callable[..., None], *,
    home: Path,
) -> tuple[list[dict[str, Any]], str]:  # fmt: skip
    """Have a launcher start runs of somebody else's making.

    Args:
        stage: whose configuration is composed.
        overrides: name as many runs as there are labels.
        launcher: that node of a configuration.
        labels: folder of each run under `out`.
        execute: what a run does: `execute(stage, config, None)`; a function that another process can import.
        home: where launchers keep files.

    Returns:
        The outcome of each run, as `read_outcome` gives it, and what went wrong with the launcher itself.

    Raises:
        UserError: the launcher is not installed.
    """
    with _prepared(stage, launcher, labels, execute, home) as (job, folder):
        trouble = _start(job, stage, [*overrides, *hydra_overrides(launcher, folder)])
        return [read_outcome(folder, number) for number in range(len(labels))], trouble


@contextlib.contextmanager
def _prepared(
    stage: str, launcher: Any, labels: Sequence[str], execute: Callable[..., None], home: Path
) -> Iterator[tuple[Job, Path]]:
    """What every run calls, and the folder of the outcomes."""
    plugin = _plugin(launcher)
    with _folder(home, kept=plugin is not None) as folder:
        if plugin:
            print(f"{len(labels)} runs by {plugin}; what they say, and the files of their jobs, lie in {folder}",
                  flush=True)  # fmt: skip
        logs = plugin == "joblib"
        yield Job(stage, execute, tuple(labels), str(folder), threads(launcher, len(labels)), logs=logs), folder


def hydra_overrides(launcher: Any, folder: Path) -> list[str]:
    """What Hydra is told so that it starts the runs as `launcher` says.

    Args:
        launcher: that node of the configuration.
        folder: where launchers keep files.
    """
    told = ["hydra/job_logging=disabled", "hydra/hydra_logging=disabled", quote_path("hydra.sweep.dir", folder)]
    if plugin := _plugin(launcher):
        told.append(f"hydra/launcher={plugin}")
        given = [key for key, value in launcher.items() if key not in _OWN and value is not None]
        told += [f"hydra.launcher.{key}=${{launcher.{key}}}" for key in given]
        if plugin != "joblib":
            told.append(quote_path("hydra.launcher.submitit_folder", folder / "%j"))
    return told


def threads(launcher: Any, n_runs: int) -> int | None:
    """Cores for each run, so that runs at the same time do not fight over them; None: as the process has them.

    Args:
        launcher: that node of the configuration.
        n_runs: of the sweep.

    Raises:
        UserError: neither auto nor a number above 0.
    """
    if "threads" not in launcher:
        return launcher.get("cpus_per_task")
    from joblib import cpu_count  # knows containers, too

    wanted = launcher["threads"]
    if wanted == "auto":
        at_once = launcher.get("n_jobs", n_runs)
        return max(1, cpu_count() // (at_once if at_once > 0 else cpu_count()))
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise UserError(f"launcher.threads={wanted} does not fit; expected auto or a whole number above 0")
    return wanted


def _plugin(launcher: Any) -> str | None:
    """Hydra's name of the launcher, None for its own one; checked to be installed."""
    target = launcher.get("_target_")
    if not target:
        return None
    module, _, name = target.rpartition(".")
    package = module.rpartition(".")[0]
    with contextlib.suppress(ModuleNotFoundError):  # of `hydra_plugins`, where there is no plugin at all
        if importlib.util.find_spec(package):
            return _HYDRA_NAMES[name]
    missing = package.rpartition(".")[2].replace("_", "-")
    raise UserError(f'this launcher= needs {missing}, which is not installed; `pip install "ssl-robust[sweeps]"`')


@contextlib.contextmanager
def _folder(home: Path, *, kept: bool) -> Iterator[Path]:
    """Where launchers write: in the sweep's own folder, which other machines see, or out of sight."""
    if not kept:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    folder = (home / FILES).absolute()
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier sweep here
    folder.mkdir(parents=True)
    yield folder
    (folder / "multirun.yaml").unlink(missing_ok=True)  # Hydra's, which nothing reads


def _start(job: Job, stage: str, overrides: Sequence[str]) -> str:
    """Have Hydra start all runs and wait for them; what went wrong with the launcher itself, in one line."""
    import hydra

    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["ssl-robust", "--multirun", *overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # or else Hydra prints what the launcher raises, and ends the process
    try:
        hydra.main(version_base="1.3", config_path=str(config_directory()), config_name=stage)(job)()
    except Exception as error:
        if before[1] == "1":
            raise
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    finally:
        sys.argv = before[0]
        os.environ.pop("HYDRA_FULL_ERROR")
        if before[1] is not None:
            os.environ["HYDRA_FULL_ERROR"] = before[1]
    return ""


def _finish(stage: str, runs: Sequence[Planned], folder: Path, trouble: str) -> list[dict[str, Any]]:
    """The rows of the table, shown and written; it is left alone where no run was heard of."""
    rows = []
    for number, run in enumerate(runs):
        found = read_outcome(folder, number)
        out = found.get("out", str(Path(run.home) / run.label))
        row = {**run.values, "status": found["status"], "seconds": found.get("seconds")}
        numbers = headline(stage, Path(out)) if found["status"] in _ENDED else {}
        rows.append({**row, **numbers, "error": found.get("error", ""), "out": out})
    if any(row["status"] != "no result" for row in rows):
        print("\n" + "\n".join(lines(rows)))
        for home in dict.fromkeys(run.home for run in runs):
            mine = [row for row, run in zip(rows, runs, strict=True) if run.home == home]
            print(f"Wrote {write(mine, Path(home))}", flush=True)
    if trouble:
        print(f"ssl-robust: the launcher stopped ({trouble}); see {folder}. Other jobs of a cluster may go on "
              "(squeue): once none does, the same command with resume=true completes the table",
              file=sys.stderr)  # fmt: skip
    return rows
