"""Columns of a user's table, under the names that this package uses."""

from __future__ import annotations

import csv
import difflib
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_robust.data.typed_tables import EXCEL, PARQUET, read_excel, read_parquet
from ssl_robust.data.unpacked import UTF16, check_unpacked
from ssl_robust.data.written import unguarded
from ssl_robust.run import UserError

TABLES = (".csv", ".tsv", *EXCEL, *PARQUET)
_NO_TEXT = {
    b"PK": "a workbook or an archive; give it the ending .xlsx if it is one of Excel, or save it as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of an old kind or with a password; save it as .xlsx without a password",
    b"PAR1": "a Parquet file; give it the ending .parquet",
    b"\x93NUM": "a NumPy file; a table is expected, such as a CSV with a column `label` and a row for each sample",
}


def read_table(path: Path, *, sheet: str | None = None) -> pd.DataFrame:
    """A table, all columns as text; empty cells are NA, and the text "NA" stays a text.

    The ending tells Excel and Parquet; everything else is a CSV, perhaps compressed, whose commas, semicolons and
    tabs are told apart by the first line. The apostrophe with which `write_table` keeps a text from being run as a
    formula is taken off. Of columns that share a name each gets its number, so that none is taken for another.

    Args:
        path: the file.
        sheet: of an Excel workbook; None: the first.

    Raises:
        UserError: the file is not such a table, what reads it is not installed, or it unpacks to far more than a table
            does.
    """
    suffix = path.suffix.lower()
    if sheet is not None and suffix not in EXCEL:
        raise UserError(f"data.sheet={sheet} names a sheet of an Excel workbook (.xlsx), and {path.name} is none")
    if suffix in PARQUET:
        return unguarded(read_parquet(path))
    rows = read_excel(path, sheet) if suffix in EXCEL else _read_text(path)
    if rows.empty:
        raise UserError(f"{path} cannot be read as a table (it is empty); its first row must name the columns")
    table = rows.iloc[1:].set_axis(_names(rows.iloc[0]), axis=1)
    return unguarded(table.reset_index(drop=True))


def _read_text(path: Path) -> pd.DataFrame:
    """A CSV with its first row, which names the columns, as a row like the others."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, what in _NO_TEXT.items():
        if start.startswith(mark) and path.suffix.lower() != ".zip":
            raise UserError(f"{path} is {what}")
    options: dict[str, Any] = {"header": None, "encoding": "utf-16" if start.startswith(UTF16) else "utf-8-sig"}
    try:
        check_unpacked(path)
        head = pd.read_csv(path, sep="\0", engine="python", nrows=1, dtype=str, quoting=csv.QUOTE_NONE, **options)
        first = str(head.iloc[0, 0])
        told = re.fullmatch(r"sep=(.)", first.strip('"'))  # a line for Excel, before the names
        separator = told.group(1) if told else max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)
        return pd.read_csv(path, sep=separator, dtype="string", keep_default_na=False, na_values=[""],
                           skipinitialspace=True, skiprows=1 if told else 0, **options)  # fmt: skip
    except UnicodeError:
        raise UserError(f"{path} is not in UTF-8, so that its letters are unclear; save it as CSV in UTF-8 "
                        '(Excel: "CSV UTF-8") or as .xlsx') from None  # fmt: skip
    except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0].removeprefix("Error tokenizing data. C error: ")
        raise UserError(f"{path} cannot be read as a table ({reason}); expected a CSV in UTF-8, with as many cells "
                        "in each line as in the first") from None  # fmt: skip


def _names(header: pd.Series) -> list[str]:
    """Names of the columns; a name that is missing or stands there twice gets the number of its column."""
    texts = [str(text).strip() for text in header.fillna("")]
    counts = Counter(texts)
    return [
        f"{text} (column {number})".strip() if not text or counts[text] > 1 else text
        for number, text in enumerate(texts, start=1)
    ]


def pick(
    table: pd.DataFrame,
    columns: Mapping[str, str | Sequence[str] | None],
    wanted: Sequence[str],
    *,
    required: Sequence[str],
    where: str,
) -> dict[str, pd.Series]:
    """The wanted columns of a table by this package's names.

    Args:
        table: the user's table.
        columns: `data.columns`: this package's name -> the user's, None = the same; several for `label` are for
            `pick_votes`, and not looked for here.
        wanted: names to look for; an absent one is left out, unless the user named it.
        required: those of them that must be there.
        where: the table's name in messages.

    Raises:
        UserError: a column that is required, or that the user named, is not there, is empty or is several.
    """
    found = {}
    for name in wanted:
        column = columns.get(name) or name
        if not isinstance(column, str):
            if name != "label":
                raise UserError(f"data.columns.{name}={shown(column)} names several columns; only label may be several")
        elif column in table:
            found[name] = filled(pd.Series(table[column]), where) if columns.get(name) else table[column]
        elif columns.get(name) or name in required or _numbered(table, column):
            raise absent(table, column, name, where)
    return found


def filled(column: pd.Series, where: str) -> pd.Series:
    """A column that the user named.

    Raises:
        UserError: it has rows, and all are empty.
    """
    if len(column) and column.isna().all():
        raise UserError(f"{where}: the column {column.name!r} is empty; name one that is filled in")
    return column


def _numbered(table: pd.DataFrame, column: str) -> list[str]:
    return [name for name in table if name.startswith(f"{column} (column ")]


def absent(table: pd.DataFrame, column: str, name: str, where: str, *, among: Sequence[str] = ()) -> UserError:
    """The sentence that names what was probably meant by a column that is not there.

    Args:
        table: the user's table.
        column: what it does not have.
        name: this package's name of it.
        where: the table's name in messages.
        among: all columns that the user named for it, where they are several.
    """

    def option(meant: str) -> str:
        mended = [meant if each == column else each for each in among]
        return f"data.columns.{name}={shown(mended) if mended else meant}"

    if several := _numbered(table, column):
        return UserError(
            f"{where} has {len(several)} columns {column!r}; rename all but one, or choose with "
            + option(f"'{several[0]}'")
        )
    near = difflib.get_close_matches(column, list(table), n=1)
    hint = f" (is it {near[0]!r}? then {option(near[0])})" if near else ""
    return UserError(
        f"{where} has no column {column!r}{hint}; its columns are {', '.join(map(str, table))}; "
        f"name the right one with {option('…')}"
    )


def shown(names: Sequence[str]) -> str:
    """`[a,b]`, as a list is written on the command line."""
    return f"[{','.join(map(str, names))}]"
