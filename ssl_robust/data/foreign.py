"""What the readers of other tools' files share: JSON, paths that stay below the data's folder, columns, classes."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_robust.data.columns import pick
from ssl_robust.data.manifest import COLUMNS, Manifest
from ssl_robust.files import UserError

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def read_foreign_json(path: Path, kind: type, expected: str) -> Any:
    """The JSON value of a file that another tool has written.

    Args:
        path: the file.
        kind: dict or list, what it must hold.
        expected: the format's name, for messages.

    Raises:
        UserError: no JSON, or of another kind.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); export it as {expected} again") from None
    if not isinstance(value, kind):
        found = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a single value"
        raise UserError(f"{path} holds {found}, which is not {expected}; export it as {expected}")
    return value


def files_below(root: Path, texts: Sequence[str], where: str) -> tuple[list[Path], list[str]]:
    """Files that another tool names -> files below `root`, and their paths relative to it.

    Paths of the machine that wrote them (absolute, or from another folder) lose their first parts, all as many, until
    one of the files is there.

    Args:
        root: the data's folder; nothing outside it is opened.
        texts: (N,) paths as they stand there, of any system.
        where: what to call the file in messages.

    Raises:
        UserError: a path leads out of the folder, or no file is there.
    """
    parts = [_parts(root, text, where) for text in texts]
    for dropped in range(max(map(len, parts), default=0)):
        if any(root.joinpath(*each[dropped:]).is_file() for each in parts if len(each) > dropped):
            break
    else:
        raise UserError(
            f"{where}: none of its files exists below {root}, e.g. {'/'.join(parts[0])}; name their folder with "
            "data.root=…"
            if parts
            else f"{where} holds no scans"
        )
    names = ["/".join(each[dropped:] or each) for each in parts]
    return [root / name for name in names], names


def _parts(root: Path, text: str, where: str) -> list[str]:
    if "\\" in text and (_DRIVE.match(text) or not (root / text).is_file()):
        text = text.replace("\\", "/")
    parts = [part for part in posixpath.normpath(text.lstrip("/")).split("/") if part not in ("", ".")]
    if not parts or parts[0] == ".." or "\0" in text:
        raise UserError(f"{where}: the path {text!r} leads out of the data's folder; expected a file below it")
    return parts


def columns_of(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str | None], carried: Sequence[str], *, where: str
) -> dict[str, pd.Series]:
    """Fields of a tool's samples under this package's names, as texts.

    Args:
        rows: (N,) fields of each sample; what is neither text nor number counts as missing.
        columns: `data.columns`: this package's name -> the tool's, None = the same.
        carried: columns that are taken where they are there; others only where the user names them.
        where: what to call the file in messages.

    Raises:
        UserError: a field that the user named is not there.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pd.DataFrame({name: _texts([row.get(name) for row in rows]) for name in names})
    wanted = [name for name in COLUMNS if name in carried or columns.get(name)]
    return pick(table, columns, wanted, required=(), where=where)


def _texts(values: Sequence[Any]) -> pd.Series:
    texts = [str(value) if isinstance(value, (str, int, float)) and value == value else pd.NA for value in values]
    return pd.Series(texts, dtype="string")


def with_classes(manifest: Manifest, names: Sequence[str]) -> Manifest:
    """The manifest with its classes in the order in which the tool names them; classes without a scan stay.

    Args:
        manifest: whose labels are class names.
        names: the tool's classes.
    """
    known = [name.strip() for name in names if name.strip()]
    return replace(manifest, classes=tuple(dict.fromkeys([*known, *manifest.classes])))
