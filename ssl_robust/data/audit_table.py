"""The table of an audit on disk, as CSV or Parquet: whoever needs it reads either here and gets the same columns."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.written import unguarded_text, write_table
from ssl_robust.files import UserError, replacing

KINDS = ("csv", "parquet")
_NUMBERS = ("score", "p_mislabeled", "evidence", "agreement")
_NEEDED = ("sample_id", "label", "suggested_label", "score", "rank")
_STEM = "audit"


def check_kind(kind: str) -> None:
    """Say before anything is computed that the table cannot be written.

    Raises:
        UserError: no such kind, or what writes it is not installed.
    """
    if kind not in KINDS:
        raise UserError(f"table={kind} is not known; expected {' or '.join(KINDS)}")
    if kind == "parquet" and find_spec("pyarrow") is None:
        raise UserError(
            'table=parquet needs the package pyarrow; install it with pip install "ssl-robust[tables]", or take '
            "table=csv"
        )


def write_audit_table(directory: Path, table: pd.DataFrame, *, kind: str) -> Path:
    """Write audit.csv or audit.parquet, whole or not at all.

    A CSV guards texts that a spreadsheet would run as a formula, and has lists as JSON. Parquet keeps types and texts
    as they are.

    Args:
        directory: the run directory.
        table: one row a sample.
        kind: one of `KINDS`.

    Returns:
        The file.
    """
    path = directory / f"{_STEM}.{kind}"
    if kind == "csv":
        write_table(path, table)
        return path
    with replacing(path) as temporary:
        table.to_parquet(temporary, engine="pyarrow", index=False)
    return path


def find_audit_table(directory: Path) -> Path | None:
    """The table of a finished audit, whichever kind it is; None where there is none."""
    places = (directory / f"{_STEM}.{kind}" for kind in KINDS)
    return next((place for place in places if place.is_file()), None)


def read_audit_table(path: Path) -> pd.DataFrame:
    """The table as it was written: texts, numbers that may be missing, lists of neighbours' ids.

    Args:
        path: from `find_audit_table`.

    Raises:
        UserError: it is damaged, or pyarrow is not installed.
    """
    try:
        table = read_table(path) if path.suffix == ".csv" else _parquet(path)
        if missing := [name for name in _NEEDED if name not in table]:
            raise ValueError(f"it has no column {missing[0]!r}")
        return _typed(table)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not the table of an audit ({error}); run the audit again") from None


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, engine="pyarrow", dtype_backend="numpy_nullable")
    except ImportError:
        raise UserError(f'{path} needs the package pyarrow; install it with pip install "ssl-robust[tables]"') from None
    except OSError as error:
        raise UserError(f"{path} cannot be read as a Parquet file ({error}); run the audit again") from None


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    typed = {}
    for name, column in table.items():
        if name in _NUMBERS:
            typed[name] = column.astype("Float64")
        elif name == "rank":
            typed[name] = column.astype("Float64").astype("Int64")
        elif name == "is_wrong":
            typed[name] = column.map({"True": True, "False": False, True: True, False: False}).astype("boolean")
        elif name == "neighbors":
            typed[name] = pd.Series([_list(value) for value in column], dtype=object)
        else:
            typed[name] = column.astype("string")
    return pd.DataFrame(typed)


def _list(value: Any) -> list[str] | None:
    """Ids of neighbours, from JSON with guarded texts or as Parquet has them; None where a sample has no label."""
    if isinstance(value, str):
        return [unguarded_text(each) for each in json.loads(value)]
    return None if value is None or value is pd.NA or isinstance(value, float) else [str(each) for each in value]
