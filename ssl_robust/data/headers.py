"""What files hold by their headers, kept between runs: later ones read those of new and changed files alone.

It lies in the folder of decoded scans, one file for each folder of data. Patients are kept as hashes whose salt lies
beside the data, where everybody is named anyway; without a salt, nothing is kept of a file that names one.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust.data.cache import cache_directory
from ssl_robust.data.formats.known import format_of, is_one_scan
from ssl_robust.data.formats.rules import Contents, NoPicture, Rules
from ssl_robust.data.identifiers import hashed, salt_of
from ssl_robust.data.sources import digest, size_and_time, state_of
from ssl_robust.run import progress, replacing

_VERSION = "1"  # part of the file's name: raise it when a format finds other parts or patients
PREFIX = "headers-"
_ARRAYS = ("names", "states", "n_parts", "patients", "kinds", "parts", "salt")
_N_THREADS = min(64, os.cpu_count() or 1)
_Kept = dict[str, tuple[str, Contents]]  # name of a file -> its state, and what it held then


@dataclass(frozen=True)
class Headers:
    """Where it is kept for one folder of data.

    Attributes:
        folder: of decoded scans.
        data: the folder of the data.
        salt: makes patients into hashes; None: they come as they are, and are not kept.
    """

    folder: Path
    data: Path
    salt: Callable[[], bytes] | None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Headers:
        """That of a `data` node, whose `ids` says whether patients may stand anywhere as they are."""
        path = Path(settings.get("path") or "").expanduser().absolute()
        salt = partial(salt_of, settings) if settings["ids"] in ("auto", "hashed") else None
        return cls(cache_directory(settings["cache_dir"]), path if path.is_dir() else path.parent, salt)

    def look(self, files: Sequence[Path], rules: Rules) -> list[Contents]:
        """What files hold; nothing but one scan where a file cannot be read, which is told of when it is.

        Args:
            files: where they are.
            rules: which frames and slices are taken.
        """
        rules = replace(rules, window=Rules.window, percentiles=Rules.percentiles)  # no header hangs on them
        named = () if self.salt else ("plain",)  # a run that keeps nobody must not take away what others keep
        place = self.folder / f"{PREFIX}{digest(_VERSION, repr(rules), str(self.data), *named)}.npz"
        opened = [file for file in dict.fromkeys(files) if not is_one_scan(file)]  # a table may name one many times
        before = self._read(place) if opened else {}
        with ThreadPoolExecutor(_N_THREADS) as pool:
            states = dict(zip(opened, pool.map(partial(_state, rules=rules), opened), strict=True))
            kept = {
                file: before[name][1] for file in opened if before.get(name := _name(file), ("",))[0] == states[file]
            }
            rest = [file for file in opened if file not in kept]
            looked = pool.map(lambda file: _contents(file, rules), rest)
            shown = progress(looked, total=len(rest), what="looking into files")
            new = {file: self._unnamed(each) for file, each in zip(rest, shown, strict=True) if each is not None}
        fit = {_name(file): (states[file], each) for file, each in new.items() if self.salt or each.patient is None}
        if fit:
            self._write(place, before | fit)
        return [kept.get(file) or new.get(file) or Contents() for file in files]

    def _unnamed(self, contents: Contents) -> Contents:
        """With a hash for the patient, where there is a salt."""
        if contents.patient is None or self.salt is None:
            return contents
        return replace(contents, patient=hashed(contents.patient, self._salt, b"header"))

    @cached_property
    def _salt(self) -> bytes:
        assert self.salt is not None
        return self.salt()

    def _read(self, place: Path) -> _Kept:
        """What `_write` wrote; nothing where it is damaged, nothing of named patients where the salt is another."""
        try:
            with place.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                columns = [file[each].tolist() for each in _ARRAYS[:5]]
                ends = np.cumsum(columns[2]).tolist()
                parts = file["parts"].tobytes().decode().split("\n") if ends[-1] else []
                salt = str(file["salt"])
            if {len(each) for each in columns} != {len(ends)} or ends[-1] != len(parts):
                return {}
        except Exception:  # whatever a damaged archive raises, it is as good as none
            return {}
        usable = any(columns[3]) and self.salt is not None and digest(self._salt.hex()) == salt
        return {
            name: (state, Contents(tuple(parts[end - n : end]), patient or None, no_picture=kind or None))
            for name, state, n, patient, kind, end in zip(*columns, ends, strict=True)
            if usable or not patient
        }

    def _write(self, place: Path, kept: _Kept) -> None:
        """Write it whole or not at all; a folder that cannot be written makes runs slower, no more."""
        each = [contents for _, contents in kept.values()]
        patients = [contents.patient or "" for contents in each]
        values = (
            np.array(list(kept)), np.array([state for state, _ in kept.values()]),
            np.array([len(contents.parts) for contents in each]), np.array(patients),
            np.array([contents.no_picture or "" for contents in each]),
            np.frombuffer("\n".join(part for contents in each for part in contents.parts).encode(), np.uint8),
            np.array(digest(self._salt.hex()) if any(patients) else ""),
        )  # fmt: skip
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(place, private=True) as temporary:
                np.savez(temporary, **dict(zip(_ARRAYS, values, strict=True)))


def is_headers(file: Path) -> bool:
    """Whether a file of that name is what this module writes."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist() == [f"{name}.npy" for name in _ARRAYS]
    except (OSError, zipfile.BadZipFile):
        return False


def _name(file: Path) -> str:
    """A file's place without its name, which may be a patient's."""
    return digest(str(file.absolute()))[:16]


def _state(file: Path, rules: Rules) -> str:
    return state_of(file, "", rules, size_and_time(file))


def _contents(file: Path, rules: Rules) -> Contents | None:
    try:
        return format_of(file).contents(file, rules)
    except NoPicture as error:
        return Contents(parts=(), no_picture=error.kind)
    except Exception:  # a damaged file may raise anything; reading it will say what is wrong
        return None
