"""Whose a run directory is: refused, continued, or replaced without losing what was there before its time.

A run that is replaced waits beside the directory as `.<name>.replaced`, so that a mistake found late puts it back and
a kill does not lose it.
"""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_robust.files import UserError, read_json, write_json

SCHEMA_VERSION = 1
_BOOKKEEPING = {"run.json", "config.yaml"}
# Options that name what a run reads.
_READS = ("checkpoint", "classifier", "encoder_file", "reuse", "reference", "data.path", "data.root", "data.index",
          "data.labels", "noise.labels", "strategy.audit")  # fmt: skip


def read_run(path: str | Path, *, stage: str | Sequence[str] | None = None) -> dict[str, Any]:
    """The `run.json` of a run directory, checked.

    Args:
        path: the run directory.
        stage: stage or stages that are accepted; any where None.

    Raises:
        UserError: no run is there, it is of another stage, or a newer version wrote it.
    """
    path = Path(path)
    if not (path / "run.json").is_file():
        raise UserError(f"{path} holds no run (no run.json in it); give the `out` directory of a finished stage")
    values = read_json(path / "run.json")
    if not (isinstance(values.get("schema_version", 0), int) and isinstance(values.get("config", {}), dict)):
        raise UserError(f"{path} holds a run.json that ssl-robust did not write; give the directory of another run")
    if values.get("schema_version", 0) > SCHEMA_VERSION:
        raise UserError(f"{path} was written by a newer ssl-robust; update it with `pip install -U ssl-robust`")
    accepted = [stage] if isinstance(stage, str) else stage
    if accepted is not None and values.get("stage") not in accepted:
        raise UserError(
            f"{path} holds a run of the stage {values.get('stage')}, expected {' or '.join(accepted)}; check the path"
        )
    return values


class Claim:
    """A directory for one run; what must not be touched is refused at once, and nothing is changed before `take`.

    Args:
        path: the directory.
        stage: name of the stage that asks.
        settings: its resolved configuration.
        resume: continue the run that is there.
        overwrite: replace the run that is there.

    Raises:
        UserError: the directory cannot be had; the message says why.
    """

    def __init__(self, path: Path, stage: str, settings: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        if resume and overwrite:
            raise UserError("resume=true and overwrite=true exclude each other; keep one of them")
        if path.exists() and not path.is_dir():
            raise UserError(f"out={path} is a file; give a directory")
        self._path = path.resolve()  # a link to a directory stays a link
        self._replaces, self._continues = overwrite, resume
        self.resumed = False
        self._aside: Path | None = None
        self._occupied = path.exists() and any(path.iterdir())
        if not self._occupied:
            return
        if not (path / "run.json").is_file():
            raise UserError(f"out={path} holds other files and no run; give an empty or new directory")
        previous = read_json(path / "run.json")
        if not (resume or overwrite):
            state, remedy = "an unfinished", "resume=true to continue it or overwrite=true to replace it"
            if previous.get("finished"):
                state, remedy = "a finished", "overwrite=true to replace it"
            raise UserError(
                f"out={path} already holds {state} {previous.get('stage')} run; choose another out=, or add {remedy}"
            )
        if overwrite:
            _check_replaceable(path, stage, previous, settings)
        else:
            read_run(path, stage=stage)
            self.resumed = True

    def take(self) -> None:
        """Make the directory; move the run that is to be replaced aside."""
        if waiting := self._waiting():
            print(
                f"Note: {waiting[0]} holds a run that was in {self._path.name} before and whose replacement has not "
                "ended; " + ("it goes once this run has ended" if self._replaces or self._continues else
                             "move it back or delete it"),
                file=sys.stderr,
            )  # fmt: skip
        if self.resumed:
            previous = read_json(self._path / "run.json")
            write_json(self._path / "run.json", {**previous, "wall_seconds_before": previous.get("wall_seconds", 0.0)})
        elif self._occupied:
            free = self._path.with_name(f".{self._path.name}.replaced")
            number = 2
            while free.exists():
                free, number = free.with_name(f".{self._path.name}.replaced-{number}"), number + 1
            try:
                self._path.rename(free)
            except OSError as error:
                raise UserError(
                    f"out={self._path} cannot be moved aside to be replaced ({error.strerror}); choose another out="
                ) from None
            self._aside = free
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"out={self._path} cannot be made ({error.strerror}); choose another out=") from None
        if not os.access(self._path, os.W_OK | os.X_OK):
            raise UserError(f"out={self._path} cannot be written to; choose another out=")

    def keep(self) -> None:
        """The new run has ended well: what it replaced goes."""
        if self._replaces or self._continues:
            for old in self._waiting():
                shutil.rmtree(old, ignore_errors=True)

    def give_up(self) -> None:
        """The new run has failed: without a result it makes room for the one before it."""
        if self.resumed:
            return
        if self._holds_nothing():
            shutil.rmtree(self._path)
            if self._aside is not None:
                self._aside.rename(self._path)
        elif self._aside is not None:
            print(f"Note: the run that was in {self._path.name} before is kept in {self._aside}", file=sys.stderr)

    def _holds_nothing(self) -> bool:
        """No more than bookkeeping and the look at the encoder before its first epoch."""
        if not {entry.name for entry in self._path.iterdir()} <= {*_BOOKKEEPING, "metrics.csv"}:
            return False
        metrics = self._path / "metrics.csv"
        if not metrics.exists():
            return True
        with metrics.open(newline="", encoding="utf-8") as file:
            return all(row.get("epoch") == "0" for row in csv.DictReader(file))

    def _waiting(self) -> list[Path]:
        """Runs that were here before and whose replacement has not ended."""
        prefix = f".{self._path.name}.replaced"
        with contextlib.suppress(OSError):
            beside = [each for each in self._path.parent.iterdir() if each.name.startswith(prefix)]
            return sorted(each for each in beside if each.name[len(prefix) :].removeprefix("-").isdigit()
                          or each.name == prefix)  # fmt: skip
        return []


def _check_replaceable(path: Path, stage: str, previous: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to replace another stage's run, a home of other runs, and what the new run reads."""
    if previous.get("stage") != stage:
        raise UserError(
            f"out={path} holds a run of the stage {previous.get('stage')}, which {stage} does not replace; "
            "choose another out=, or delete the directory yourself"
        )
    nested = sorted(each.parent.name for each in path.glob("*/run.json"))
    if nested and stage != "demo":  # whose own runs they are
        raise UserError(f"out={path} holds other runs ({', '.join(nested)}); choose another out=, or move them away")
    home = path.resolve()
    for name in _READS:
        value: Any = settings
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value and Path(value).expanduser().resolve().is_relative_to(home):
            raise UserError(
                f"{name}={value} lies in out={path}, which overwrite=true would replace; choose another out="
            )
