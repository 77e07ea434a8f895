"""Columns of a user's table, under the names that this package uses."""

from __future__ import annotations

import csv
import difflib
import lzma
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ssl_robust.data.unpacked import check_unpacked
from ssl_robust.data.written import unguarded
from ssl_robust.run import UserError


def read_table(path: Path) -> pd.DataFrame:
    """A CSV file, perhaps compressed, all columns as text; empty cells are NA, and the text "NA" stays a text.

    Commas, semicolons and tabs are told apart by the first line. The apostrophe with which `write_table` keeps a text
    from being run as a formula is taken off.

    Raises:
        UserError: the file is not a table in UTF-8, or unpacks to far more than a table does.
    """
    try:
        check_unpacked(path)
        head = pd.read_csv(path, sep="\0", engine="python", nrows=1, header=None, encoding="utf-8-sig", dtype=str,
                           quoting=csv.QUOTE_NONE)  # fmt: skip
        first = str(head.iloc[0, 0])
        separator = max(",;\t", key=first.count)
        return unguarded(pd.read_csv(path, sep=separator, dtype="string", keep_default_na=False, na_values=[""],
                                     encoding="utf-8-sig", skipinitialspace=True))  # fmt: skip
    except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read as a table ({reason}); save it as CSV in UTF-8") from None


def pick(
    table: pd.DataFrame,
    columns: Mapping[str, str | None],
    wanted: Sequence[str],
    *,
    required: Sequence[str],
    where: str,
) -> dict[str, pd.Series]:
    """The wanted columns of a table by this package's names.

    Args:
        table: the user's table.
        columns: `data.columns`: this package's name -> the user's, None = the same.
        wanted: names to look for; an absent one is left out, unless the user named it.
        required: those of them that must be there.
        where: the table's name in messages.

    Raises:
        UserError: a column that is required, or that the user named, is not there.
    """
    found = {}
    for name in wanted:
        column = columns.get(name) or name
        if column in table:
            found[name] = table[column]
        elif columns.get(name) or name in required:
            near = difflib.get_close_matches(column, list(table), n=1)
            hint = f" (is it {near[0]!r}? then data.columns.{name}={near[0]})" if near else ""
            raise UserError(
                f"{where} has no column {column!r}{hint}; its columns are {', '.join(map(str, table))}; "
                f"name the right one with data.columns.{name}=…"
            )
    return found
