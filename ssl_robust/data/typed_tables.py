"""Excel and Parquet, whose cells have types -> the texts that a person sees in them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.run import UserError

EXCEL, PARQUET = (".xlsx", ".xlsm"), (".parquet", ".pq")
_ENCRYPTED_OR_OLD = b"\xd0\xcf\x11\xe0"  # a password or Excel 97 puts another container around the workbook


def read_excel(path: Path, sheet: str | None) -> pd.DataFrame:
    """One sheet of a workbook, its first row too, all cells as texts; empty ones and those with an error are NA.

    Args:
        path: the workbook.
        sheet: its name, None: the first, and it is said which others there are.

    Raises:
        UserError: openpyxl is not installed, it is no workbook, or it has no such sheet.
    """
    with path.open("rb") as file:
        if file.read(4) == _ENCRYPTED_OR_OLD:
            raise UserError(f"{path} is protected by a password or of an old kind; save it as .xlsx without a password")
    try:
        # A workbook may hold what openpyxl does not know (validation, styles); it warns, and the cells are right.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pd.ExcelFile(path, engine="openpyxl") as book:
                name = _sheet(list(map(str, book.sheet_names)), sheet, path)
                cells: Any = book.parse(name, header=None, dtype=object, keep_default_na=False, na_values=[""])
    except ImportError:
        raise _not_installed(path, "openpyxl") from None
    except UserError:
        raise
    except Exception as error:  # the archive, its XML and its dates can each be damaged in ways of their own
        raise _unreadable(path, error, "an Excel workbook") from None
    return as_texts(cells)


def read_parquet(path: Path) -> pd.DataFrame:
    """All columns as texts; a named index counts as columns, and a cell of several values joins them with `|`.

    Raises:
        UserError: pyarrow is not installed, or it is no such file.
    """
    try:
        table = pd.read_parquet(path, engine="pyarrow", dtype_backend="numpy_nullable")
    except ImportError:
        raise _not_installed(path, "pyarrow") from None
    except (ValueError, OSError, KeyError) as error:
        raise _unreadable(path, error, "a Parquet file") from None
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    return as_texts(table.set_axis([str(name) for name in table.columns], axis=1))


def as_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of any type -> columns of texts: 1 rather than 1.0, 2024-01-31 rather than its first second."""
    texts = {
        name: column if isinstance(column.dtype, pd.StringDtype) else column.map(_text, na_action="ignore")
        for name, column in table.items()
    }
    return pd.DataFrame(texts, index=table.index, dtype="string")


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (float, np.floating)):
        # Excel keeps and shows 15 digits; of 0.1 + 0.2 that is 0.3.
        return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime):
        return str(value.date() if value.time() == time() and value.tzinfo is None else value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (list, tuple, np.ndarray)):
        return "|".join(map(str, value))
    return str(value)


def _sheet(names: list[str], wanted: str | None, path: Path) -> str:
    if wanted is None:
        if len(names) > 1:
            print(f"Note: {path.name} has {len(names)} sheets, and {names[0]!r} is read (the others: "
                  f"{_listed(names[1:])}); with data=csv data.sheet= names another", file=sys.stderr)  # fmt: skip
        return names[0]
    if wanted not in names:
        raise UserError(f"{path.name} has no sheet {wanted!r}; data.sheet= can be {_listed(names)}")
    return wanted


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _not_installed(path: Path, package: str) -> UserError:
    return UserError(
        f'{path.name} needs the package {package}; install it with pip install "ssl-robust[tables]", '
        "or save the table as CSV in UTF-8"
    )


def _unreadable(path: Path, error: Exception, what: str) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"{path} cannot be read as {what} ({reason}); save it anew, or as CSV in UTF-8")
