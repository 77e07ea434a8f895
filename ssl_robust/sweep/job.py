"""One run of a sweep, wherever a launcher takes it: another process, another machine."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_robust.run import UserError, read_json, write_json
from ssl_robust.training.resuming import is_finished

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Read when a library is loaded: OpenMP's (torch, faiss, scikit-learn) and those of BLAS.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """What Hydra calls for every run; launchers pickle it, so it holds plain values alone.

    Whatever happens in a run is written down and does not stop the others.

    Attributes:
        stage: name of the stage.
        execute: runs it: `execute(stage, config, None)`.
        labels: folder of each run, by its number.
        folder: where outcomes are written, `<number>.json`.
        threads: cores that a run computes on; None: as the process was started.
        logs: runs speak into `<folder>/<label>.log`, since several do so at once.
    """

    stage: str
    execute: Callable[[str, DictConfig, None], None]
    labels: tuple[str, ...]
    folder: str
    threads: int | None
    logs: bool

    def __call__(self, config: DictConfig) -> None:
        """Run the stage with `config` in its own folder under `out`."""
        from hydra.core.hydra_config import HydraConfig

        number = HydraConfig.get().job.num
        label = self.labels[number]
        config.out = str(Path(config.out) / label)
        outcome = Path(self.folder) / f"{number}.json"
        if outcome.exists():  # by an earlier try at this run, which the cluster ended
            config.resume, config.overwrite = True, False
        write_json(outcome, {"status": "running", "out": config.out})
        limit_threads(self.threads)
        started = time.monotonic()
        with self._speaking(label):
            status, error = self._attempt(drop_launcher(config))
        seconds = round(time.monotonic() - started, 1)
        write_json(outcome, {"status": status, "error": error, "out": config.out, "seconds": seconds})
        if self.logs:
            print(f"{label}: {error or status}", flush=True)

    def _attempt(self, config: DictConfig) -> tuple[str, str]:
        from omegaconf import OmegaConf

        settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        try:
            if is_finished(settings, stage=self.stage):
                return "done before", ""
            self.execute(self.stage, config, None)
            return "done", ""
        except UserError as error:
            print(f"ssl-robust: {error}", file=sys.stderr)
            return "failed", str(error)
        except Exception as error:
            traceback.print_exc()
            return "failed", f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"

    @contextlib.contextmanager
    def _speaking(self, label: str) -> Iterator[None]:
        if not self.logs:
            yield
            return
        print(f"{label}: started", flush=True)
        log = Path(self.folder) / f"{label}.log"
        with (
            log.open("w", encoding="utf-8") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            yield


def drop_launcher(config: DictConfig) -> DictConfig:
    """The configuration without `launcher`: how a run was started is no part of it."""
    from omegaconf import open_dict

    with open_dict(config):
        config.pop("launcher", None)
    return config


def limit_threads(n: int | None) -> None:
    """Compute on n cores from here on; nothing where None."""
    if n is None:
        return
    os.environ.update(dict.fromkeys(_THREADS, str(n)))
    if "torch" in sys.modules:  # loaded already, and deaf to the variables
        sys.modules["torch"].set_num_threads(n)


def read_outcome(folder: Path, number: int) -> dict[str, Any]:
    """What `Job` wrote of a run; the status is "no result" where it was never heard of, or not to its end."""
    path = folder / f"{number}.json"
    found = read_json(path) if path.exists() else {}
    return {**found, "status": "no result"} if found.get("status", "running") == "running" else found
