"""The run directory: create, describe (`run.json`), end; with `claim` (refuse, resume, replace) and `files` beneath.

Every stage writes one directory, and every stage can start from another stage's directory alone.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from ssl_robust.claim import SCHEMA_VERSION, Claim, read_run
from ssl_robust.files import AboveLimit, NotFine, UserError, append_row, read_json, replacing, write_json

__all__ = ["AboveLimit", "NotFine", "Run", "UserError", "append_row", "progress", "read_json", "read_run", "replacing",
           "write_json"]  # fmt: skip
T = TypeVar("T")
_PACKAGES = ("ssl-robust", "torch", "torchvision", "timm", "lightly", "lightning", "faiss-gpu", "faiss-cpu",
             "scikit-learn", "numpy", "pandas")  # fmt: skip


def progress(items: Iterable[T], *, total: int, what: str, every: float = 10.0) -> Iterator[T]:
    """Pass `items` on and show how far, how fast and how long still: a bar on a terminal, plain lines elsewhere.

    Args:
        items: what the work goes over.
        total: how many there are.
        what: what is being done, e.g. "embedding batches".
        every: seconds between two plain lines.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=what, dynamic_ncols=True)
        return
    started = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - said >= every:
            rate = done / (now - started)
            print(f"{what}: {done} of {total}, {rate:.1f}/s, {(total - done) / rate:.0f} s left", file=sys.stderr)
            said = now
        yield item


class Run:
    """One run directory while its stage works; use it as a context manager.

    On success `run.json` gets its end, wall time and peak memory. On an exception `run.json` keeps
    `"finished": false`, and a directory that holds nothing but bookkeeping is removed, so that a mistake in the
    options leaves nothing behind.

    A run that is replaced is moved aside when the new one is entered. It is deleted when the new one has ended well,
    and put back when the new one fails before it has written anything but bookkeeping.

    Args:
        out: the directory.
        stage: name of the stage, e.g. "pretrain".
        config: the resolved configuration, plain containers.
        resume: continue the run that is there.
        overwrite: replace the run that is there.

    Raises:
        UserError: the directory holds another run or other files, or what is to be replaced is not of this stage,
            holds other runs, or is read by this very run.
    """

    def __init__(
        self,
        out: str | Path,
        *,
        stage: str,
        config: Mapping[str, Any],
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(out)
        self.stage = stage
        self._claim = Claim(self.path, stage, config, resume=resume, overwrite=overwrite)
        self.resumed = self._claim.resumed
        self._config = dict(config)
        self._notes: dict[str, Any] = {}
        self._started = time.monotonic()

    def __enter__(self) -> Run:
        import yaml

        self._claim.take()
        with replacing(self.path / "config.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(self._config, sort_keys=False, allow_unicode=True), encoding="utf-8")
        self._write(finished=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(finished=True)
            self._claim.keep()
        else:
            self._claim.give_up()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def note(self, **values: Any) -> None:
        """Add facts to `run.json` (a data fingerprint, unreadable scans, realised noise); written at once."""
        self._notes.update(values)
        self._write(finished=False)

    def _write(self, *, finished: bool) -> None:
        previous = read_json(self / "run.json") if (self / "run.json").exists() else {}
        earlier = previous.get("wall_seconds_before", 0.0)
        write_json(
            self / "run.json",
            {
                **{key: value for key, value in previous.items() if key not in self._notes},
                "schema_version": SCHEMA_VERSION,
                "stage": self.stage,
                "finished": finished,
                "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "seed": self._config.get("seed"),
                "config": self._config,
                "wall_seconds": round(earlier + time.monotonic() - self._started, 2),
                "wall_seconds_before": earlier,
                "peak_memory_mib": peak_memory_mib(),
                "packages": _package_versions(),
                "git_revision": _git_revision(),
                "machine": {
                    "platform": platform.platform(),
                    "python": platform.python_version(),
                    "cpus": os.cpu_count(),
                },
                **self._notes,
            },
        )


def peak_memory_mib() -> float | None:
    """Most memory that this process has held; None on Windows, which has no such count."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


@cache
def _package_versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


@cache
def _git_revision() -> str | None:
    """The revision of the checkout that the package runs from; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return answer.stdout.strip() or None
