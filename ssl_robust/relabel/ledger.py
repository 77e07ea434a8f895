"""The ledger: every answer that was ever given, one line of JSON each; everything else is derived from it.

A line is on the disk before `append` returns. Nothing is rewritten, with one exception: a last line that a crash
has torn is cut off, after a copy of it was laid beside the ledger, and that is said.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from io import BytesIO, FileIO
from pathlib import Path

from ssl_robust.files import UserError
from ssl_robust.relabel.answer import SHOWN, Answer

_FIELDS = {field.name: field.type for field in dataclasses.fields(Answer)}
_KINDS = {"str": (str,), "str | None": (str, type(None)), "float": (float, int), "bool": (bool,)}


class Ledger:
    """The answers of a file, to which threads, processes and machines that share a folder append at once.

    An instance keeps its place: it reads only what was added since it last looked, so that ten thousand answers cost
    ten thousand lines.

    Args:
        path: `ledger.jsonl`; it is made with the first answer. A last line that a crash has torn is repaired now.

    Raises:
        UserError: a line is no answer, and not one that was torn.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._guard = threading.RLock()
        self._answers: dict[str, Answer] = {}  # by id, in the order of the file
        self._place = self._lines = 0  # how far it has been read
        self.read()

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, name: str) -> bool:
        return name in self._answers

    def append(self, answer: Answer) -> bool:
        """Write one answer; when this returns, it is on the disk.

        Args:
            answer: what was said.

        Returns:
            False where an answer with that id is there already, so that it was not written again.

        Raises:
            ValueError: a line could not say what the answer holds.
            OSError: it could not be written, e.g. as the disk is full; the ledger is then as it was.
        """
        return self.extend([answer]) == 1

    def extend(self, answers: Iterable[Answer]) -> int:
        """Write several answers at once, as `append` does one.

        Returns:
            How many were new.
        """
        lines: dict[str, bytes] = {}
        for answer in answers:
            lines.setdefault(answer.id, _line(answer))
        with self._guard, self._locked():
            new = not self.path.exists()
            with self.path.open("a+b", buffering=0) as file:
                self._catch_up(file, alone=True)
                added = [line for name, line in lines.items() if name not in self._answers]
                _write(file, b"".join(added))
                self._catch_up(file, alone=True)
            if new:
                _keep_name(self.path)
        return len(added)

    def read(self) -> list[Answer]:
        """All answers so far, in the order in which they arrived; one whose id was there before is passed over."""
        with self._guard:
            if self.path.exists() and not self._read_whole_lines():
                with self._locked(), self.path.open("r+b", buffering=0) as file:  # was somebody just writing?
                    self._catch_up(file, alone=True)
            return list(self._answers.values())

    def _read_whole_lines(self) -> bool:
        with self.path.open("rb", buffering=0) as file:
            return self._catch_up(file, alone=False)

    def _catch_up(self, file: FileIO, *, alone: bool) -> bool:
        """Read what was added; False where the last line is not whole and, as others may be writing it, left alone."""
        if file.seek(0, os.SEEK_END) < self._place:  # a write that failed was taken back
            self._answers, self._place, self._lines = {}, 0, 0
        file.seek(self._place)
        lines = BytesIO(file.read()).readlines()
        for number, line in enumerate(lines, start=1):
            answer, ended = _parsed(line), line.endswith(b"\n")
            if answer is None and (number < len(lines) or (ended and _is_json(line))):
                raise UserError(
                    f"line {self._lines + 1} of {self.path} is no answer that this version knows, and no line that a "
                    "crash has torn; update ssl-robust, or put the file back from a copy"
                )
            if not alone and (answer is None or not ended):
                return False
            if answer is None:
                self._cut_off(file, line)
                break
            if not ended:  # a crash took no more than the end of the line
                _write(file, b"\n")
            self._answers.setdefault(answer.id, answer)
            self._place, self._lines = self._place + len(line) + (not ended), self._lines + 1
        return True

    def _cut_off(self, file: FileIO, line: bytes) -> None:
        beside = self.path.with_suffix(".torn")
        with beside.open("ab", buffering=0) as copy:
            _write(copy, line.rstrip(b"\n") + b"\n")
        file.truncate(self._place)
        os.fsync(file.fileno())
        print(f"Note: the last line of {self.path} was torn by a crash, before its answer was confirmed; it was cut "
              f"off, and a copy is in {beside.name}", file=sys.stderr)  # fmt: skip

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the ledger, among all threads and processes.

        The lock lies beside it, as Windows lets nobody read what is locked, and is opened each time, as two threads
        that share an open file share its lock.
        """
        with self.path.with_suffix(".lock").open("ab") as file:
            _lock(file.fileno())
            try:
                yield
            finally:
                _unlock(file.fileno())


def _line(answer: Answer) -> bytes:
    """The line of an answer, which reads back as that answer.

    Raises:
        ValueError: it would not.
    """
    text = json.dumps(dataclasses.asdict(answer), ensure_ascii=False, allow_nan=False)
    # Names of files may hold bytes that are no UTF-8; their `\udcff` is JSON's own way to write them.
    line = text.encode("utf-8", errors="backslashreplace") + b"\n"
    if _parsed(line) != answer:
        raise ValueError(f"{answer} does not fit into a ledger; expected the types of Answer and shown among {SHOWN}")
    return line


def _parsed(line: bytes) -> Answer | None:
    """The answer of a line; None where it is none. What newer versions may add to a line is passed over."""
    try:
        values = json.loads(line)
        answer = Answer(**{name: values[name] for name in _FIELDS})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    fits = all(isinstance(values[name], _KINDS[str(kind)]) for name, kind in _FIELDS.items())
    return answer if fits and answer.shown in SHOWN else None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _write(file: FileIO, text: bytes) -> None:
    """Put `text` at the end of a file and onto the disk, or leave the file as it was."""
    end = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(text)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(file.fileno(), end)
        raise


def _keep_name(path: Path) -> None:
    """A new file's name onto the disk, too; Windows does that by itself."""
    if sys.platform != "win32":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


if sys.platform == "win32":
    import msvcrt

    def _lock(number: int) -> None:
        while True:
            try:
                os.lseek(number, 0, os.SEEK_SET)
                return msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
            except OSError:  # somebody else has it
                time.sleep(0.005)

    def _unlock(number: int) -> None:
        os.lseek(number, 0, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX)

    def _unlock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_UN)
