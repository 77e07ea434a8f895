"""Files found where the user says, and written whole or not at all; and the user-facing error."""

from __future__ import annotations

import contextlib
import csv
import difflib
import json
import os
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class UserError(Exception):
    """A mistake the user can mend: one sentence that says what, where, what was expected and how to fix it.

    The command line prints it alone and ends with its exit code.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """`text` on one line of a screen: what would break the line, move the cursor or turn the text round is escaped.

    Names of files and cells of tables come from others; an escape sequence in them is an order to a terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    unseen = (unicodedata.category(each)[0] == "C" or unicodedata.category(each) in ("Zl", "Zp") for each in text)
    return "".join(
        each.encode("unicode_escape").decode("ascii") if hidden else each
        for each, hidden in zip(text, unseen, strict=True)
    )


class NotFine(UserError):
    """A run that is complete, but whose result the user asked to be told as an error (`strict=true`).

    Args:
        message: what is not fine.
        out: the run directory, whose report is drawn all the same.
    """

    def __init__(self, message: str, out: Path) -> None:
        super().__init__(message)
        self.out = out


class AboveLimit(NotFine):
    """A run that is complete and whose result is above a limit that the user gave (`fail_above=`).

    Its exit code is its own, so that a data pipeline tells bad data from a bad command.
    """

    exit_code = 3


def existing(path: str | Path, option: str, *, folder: bool | None = False) -> Path:
    """`path` if it is there, with `~` expanded.

    Args:
        path: what the user gave.
        option: the option it came from, for the message.
        folder: whether a folder is expected, or a file; None: either.

    Raises:
        UserError: nothing is there, or a file in place of a folder, or the other way round, or a pipe or device.
    """
    found = Path(path).expanduser()
    kind = {True: "a folder", False: "a file", None: "what is there"}[folder]
    if not found.exists():
        raise UserError(f"{option}={path} does not exist; give the path of {kind}{near(found)}")
    if not (found.is_file() or found.is_dir()):  # a pipe would never end
        raise UserError(f"{option}={path} is a pipe, socket or device; give the path of {kind}")
    if folder is not None and found.is_dir() != folder:
        raise UserError(f"{option}={path} is a {'folder' if found.is_dir() else 'file'}; give {kind}")
    return found


def near(path: Path) -> str:
    """` (there is a … beside it)`, for a message about a path that does not exist; nothing where no name is like it."""
    if not path.parent.is_dir():
        return ""
    near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    return f" (there is a {near[0]} beside it)" if near else ""


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


def write_json(path: str | Path, values: Mapping[str, Any], *, private: bool = False) -> None:
    """Write `values` as indented UTF-8 JSON, atomically; NaN and infinities become null."""
    with replacing(path, private=private) as temporary:
        text = json.dumps(_plain(values), indent=1, ensure_ascii=False, allow_nan=False)
        # Paths may hold bytes that are no UTF-8; their `\udcff` is JSON's own way to write them.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object, or say which file is not one.

    Raises:
        UserError: the file is missing or is not a JSON object.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give the directory of a finished run") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); run the stage that wrote it again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is not a JSON object; run the stage that wrote it again")
    return values


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


def read_columns(path: str | Path) -> dict[str, np.ndarray]:
    """A CSV of numbers, e.g. metrics.csv -> its columns as floats, NaN where a cell is empty or no number.

    Raises:
        FileNotFoundError: the file is not there.
    """
    import numpy as np

    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = rows[0].keys() if rows else []
    return {name: np.array([_float(row[name]) for row in rows]) for name in names}


def _float(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


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
