"""Ids that name nobody, for scans whose paths do: salted hashes, the same in every run on the same data.

The salt and the list that says which scan an id is lie beside the data, which name people anyway; nothing that a run
writes leads back without them.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.written import write_table
from ssl_robust.run import UserError

if TYPE_CHECKING:
    from ssl_robust.data.manifest import Manifest

SALT, LIST = ".ssl-robust-salt", "ssl-robust-ids.csv"


def identified(manifest: Manifest, settings: Mapping[str, Any]) -> Manifest:
    """The manifest with the ids that `data.ids` asks for: its own, or hashes of ids, paths and patients.

    Where they are hashed, readers are numbered as they were named, since a report says how each of them does.

    Args:
        manifest: with its splits, which hang on the ids as they were.
        settings: the `data` node; `ids` is auto (hashed where paths or headers of the scans name patients), plain or
            hashed, `ids_folder` the folder of salt and list, None: beside the data.

    Raises:
        UserError: an unknown choice, or the folder cannot be written.
    """
    choice = settings["ids"]
    if choice not in ("auto", "plain", "hashed"):
        raise UserError(f"data.ids={choice} does not exist; expected auto, plain or hashed")
    if choice == "plain" or (choice == "auto" and not manifest.personal):
        return manifest
    if choice == "auto":
        print(f"Note: scans or paths name patients, so that ids are hashed; {LIST} says which scan each of them is",
              file=sys.stderr)  # fmt: skip
    folder, names = _folder(settings), pd.Series(manifest.table["sample_id"])
    salt = salt_of(settings)
    ids = _hashes(names, salt, b"scan")
    try:
        _remember(folder / LIST, pd.DataFrame({"sample_id": ids, "scan": names}))
    except OSError as error:
        raise _not_kept(folder, error) from None
    patients = _hashes(pd.Series(manifest.table["patient_id"]), salt, b"patient")
    votes = manifest.votes
    if votes is not None:
        votes = votes.set_axis([f"reader {number}" for number in range(1, votes.shape[1] + 1)], axis=1)
    return replace(manifest, table=manifest.table.assign(sample_id=ids, path=ids, patient_id=patients), votes=votes)


def salt_of(settings: Mapping[str, Any]) -> bytes:
    """The salt of the data, made where there is none yet.

    Args:
        settings: as for `identified`.

    Raises:
        UserError: the folder cannot be written, or holds another file of that name.
    """
    folder = _folder(settings)
    try:
        return _salt(folder)
    except OSError as error:
        raise _not_kept(folder, error) from None


def _not_kept(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"the salt and the list of hashed ids cannot be kept in {folder} ({error.strerror or error}); "
        "name a folder for them with data.ids_folder=, or show ids as they are with data.ids=plain"
    )


def _folder(settings: Mapping[str, Any]) -> Path:
    if settings["ids_folder"] is not None:
        return Path(settings["ids_folder"]).expanduser()
    if settings.get("path") is None:
        raise UserError("data.ids=hashed needs a folder for its salt and its list; name it with data.ids_folder=")
    path = Path(settings["path"]).expanduser()
    return path if path.is_dir() else path.parent


def _salt(folder: Path) -> bytes:
    """The folder's salt; made where there is none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / SALT).open("x", encoding="ascii") as file:
            (folder / SALT).chmod(0o600)  # whoever has the salt can guess ids
            file.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    text = (folder / SALT).read_text(encoding="ascii", errors="replace").strip()
    if len(text) < 32:
        raise UserError(f"{folder / SALT} holds no salt; put the right one back, or remove it for new ids")
    return text.encode()[:64]


def hashed(text: str, salt: bytes, kind: bytes) -> str:
    """20 hexadecimal digits from which, without the salt, nobody finds the text by trying.

    Args:
        text: that names somebody.
        salt: from `salt_of`.
        kind: of the text, so that equal texts of two kinds get different hashes.
    """
    raw = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, digest_size=10, key=salt, person=kind).hexdigest()


def _hashes(texts: pd.Series, salt: bytes, kind: bytes) -> pd.Series:
    return texts.map(lambda text: hashed(text, salt, kind), na_action="ignore").astype("string")


def _remember(path: Path, rows: pd.DataFrame) -> None:
    """Add the rows to the list, which may hold those of other tables of the same folder."""
    before = read_table(path) if path.is_file() else rows.head(0)
    after = pd.concat([before, rows]).drop_duplicates("sample_id")
    if len(after) > len(before):
        write_table(path, after)
        path.chmod(0o600)  # it says who is who
