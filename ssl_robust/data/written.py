"""Tables with users' texts on disk: no spreadsheet runs one of them as a formula, and every text comes back as it was.

A text that a spreadsheet would run gets an apostrophe in front, in every table alike, so that tables still join on
their ids; `read_table` takes it off again. Numbers are left alone: `-1` runs nothing.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_robust.run import replacing

# An apostrophe that is there already is one more in front, else reading would take away what was not added.
_FORMULA = re.compile(r"(?![+-]?[0-9.]+$)'*[=+\-@\t\r]")
_STARTS = frozenset("'=+-@\t\r")  # a quick look that spares most texts the pattern
_GUARDED = r"^'(?='*[=+\-@\t\r])"


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a CSV, atomically.

    Args:
        path: the file.
        table: texts are guarded; a list of texts is written as JSON, its texts guarded too.
    """
    safe = table.copy()
    for name, column in table.items():
        if isinstance(column.dtype, pd.StringDtype) or column.dtype == object:
            safe[name] = pd.array(_cells(column.to_numpy(dtype=object)), dtype="string")
    # A carriage return ends a line for readers, and Python's csv leaves it bare among texts that need no quotes.
    returns = any(column.str.contains("\r", regex=False).any() for _, column in safe.select_dtypes("string").items())
    with replacing(path) as temporary:
        safe.to_csv(temporary, index=False, quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL)


def unguarded(table: pd.DataFrame) -> pd.DataFrame:
    """A table as it was before `write_table`, all columns being texts."""
    texts = {name: column.str.replace(_GUARDED, "", regex=True) for name, column in table.items()}
    return pd.DataFrame(texts, index=table.index)


def unguarded_text(text: str) -> str:
    """One text as it was before `write_table`, e.g. of a list."""
    return re.sub(_GUARDED, "", text)


def _cells(values: np.ndarray) -> list[object]:
    """Texts guarded, lists of texts as JSON; everything else as it is."""
    known: dict[str, str] = {}  # text -> JSON; the same names stand in many lists

    def quoted(each: object) -> str:
        if not isinstance(each, str):
            return json.dumps(each, ensure_ascii=False)
        if each not in known:
            known[each] = json.dumps(_guarded(each), ensure_ascii=False)
        return known[each]

    return [
        _guarded(value) if isinstance(value, str)
        else f"[{', '.join(map(quoted, value))}]" if isinstance(value, list)
        else value
        for value in values
    ]  # fmt: skip


def _guarded(text: str) -> str:
    return f"'{text}" if text[:1] in _STARTS and _FORMULA.match(text) else text
