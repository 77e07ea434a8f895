"""The run directory: create, refuse, resume, write atomically, describe (`run.json`); and the user-facing error.

Every stage writes one directory, and every stage can start from another stage's directory alone.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
SCHEMA_VERSION = 1
_PACKAGES = ("ssl-robust", "torch", "torchvision", "timm", "lightly", "lightning", "faiss-gpu", "faiss-cpu",
             "scikit-learn", "numpy", "pandas")  # fmt: skip
_BOOKKEEPING = {"run.json", "config.yaml"}


class UserError(Exception):
    """A mistake the user can mend: one sentence that says what, where, what was expected and how to fix it.

    The command line prints it alone and ends with exit code 2.
    """


@contextlib.contextmanager
def replacing(path: str | Path, *, private: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all: yields a temporary name beside `path`, renamed over it on success.

    Args:
        path: the file to write; its folder is made where it is missing.
        private: only the owner may read it, from the first byte on.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept at the end, since NumPy and pandas choose the format by it. A process number alone is not
    # unique where containers share a folder: each of them calls its first process 1.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        if private:
            temporary.touch(mode=0o600)
        yield temporary
        # Some writers (safetensors) make files that only their owner may read; colleagues share run directories.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o600 if private else 0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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


def write_json(path: str | Path, values: Mapping[str, Any], *, private: bool = False) -> None:
    """Write `values` as indented UTF-8 JSON, atomically; NaN and infinities become null."""
    with replacing(path, private=private) as temporary:
        text = json.dumps(_plain(values), indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object, or say which file is not one.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give the directory of a finished run") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); run the stage that wrote it again") from None


def append_row(path: str | Path, row: Mapping[str, Any]) -> None:
    """Append one row to a CSV that others may be reading; the header is written with the first row.

    A later row may bring new columns or lack some: the file is then rewritten with the union of the columns.
    """
    path = Path(path)
    rows: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    rows.append(dict(row))
    columns = list(dict.fromkeys(name for each in rows for name in each))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


class Run:
    """One run directory while its stage works; use it as a context manager.

    On success `run.json` gets its end, wall time and peak memory. On an exception `run.json` keeps
    `"finished": false`, and a directory that holds nothing but bookkeeping is removed, so that a mistake in the
    options leaves nothing behind.

    Args:
        out: the directory.
        stage: name of the stage, e.g. "pretrain".
        config: the resolved configuration, plain containers.
        resume: continue the run that is there.
        overwrite: replace the run that is there.

    Raises:
        UserError: the directory holds another run or other files, or there is nothing to resume.
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
        self.resumed = _claim(self.path, stage, resume=resume, overwrite=overwrite)
        self._config = dict(config)
        self._notes: dict[str, Any] = {}
        self._started = time.monotonic()

    def __enter__(self) -> Run:
        import yaml

        self.path.mkdir(parents=True, exist_ok=True)
        with replacing(self.path / "config.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(self._config, sort_keys=False, allow_unicode=True), encoding="utf-8")
        self._write(finished=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(finished=True)
        elif not self.resumed and {entry.name for entry in self.path.iterdir()} <= _BOOKKEEPING:
            shutil.rmtree(self.path)

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
                "peak_memory_mib": _peak_memory_mib(),
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
    if values.get("schema_version", 0) > SCHEMA_VERSION:
        raise UserError(f"{path} was written by a newer ssl-robust; update it with `pip install -U ssl-robust`")
    accepted = [stage] if isinstance(stage, str) else stage
    if accepted is not None and values.get("stage") not in accepted:
        raise UserError(f"{path} holds a {values.get('stage')} run, expected {' or '.join(accepted)}; check the path")
    return values


def _claim(path: Path, stage: str, *, resume: bool, overwrite: bool) -> bool:
    """Whether there is a run to continue; empties the directory on overwrite; refuses what it must not touch."""
    if resume and overwrite:
        raise UserError("resume=true and overwrite=true exclude each other; keep one of them")
    if path.exists() and not path.is_dir():
        raise UserError(f"out={path} is a file; give a directory")
    if not path.exists() or not any(path.iterdir()):
        return False
    if not (path / "run.json").is_file():
        raise UserError(f"out={path} holds other files and no run; give an empty or new directory")
    previous = read_json(path / "run.json")
    if overwrite:
        shutil.rmtree(path)
        return False
    if not resume:
        state = "a finished" if previous.get("finished") else "an unfinished"
        raise UserError(
            f"out={path} already holds {state} {previous.get('stage')} run; "
            "choose another out=, or add resume=true to continue it or overwrite=true to replace it"
        )
    read_run(path, stage=stage)
    write_json(path / "run.json", {**previous, "wall_seconds_before": previous.get("wall_seconds", 0.0)})
    return True


def _plain(value: Any) -> Any:
    """`value` with containers, NumPy scalars and arrays, and paths turned into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def _peak_memory_mib() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


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
