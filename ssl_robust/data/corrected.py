"""A table of corrected labels (`data.labels=`) laid over data of any kind, found by the ids of the scans.

Scans, ids, patients and splits stay what they were: splits are made with the labels as they were at first, so that a
corrected label never moves a scan from test to train.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.files import UserError, existing

if TYPE_CHECKING:
    from ssl_robust.data.manifest import Manifest


def with_labels(manifest: Manifest, labels: str | Path) -> Manifest:
    """The manifest with the labels of a table; a scan that is not in it keeps its own.

    Args:
        manifest: the scans.
        labels: table with the columns `sample_id` and `label`, such as `relabel apply` writes; an empty label takes a
            scan's label away.

    Raises:
        UserError: it is no such table, names a scan twice or a class that the data do not have, or is of other scans.
    """
    file = existing(labels, "data.labels")
    table = read_table(file)
    if missing := [name for name in ("sample_id", "label") if name not in table]:
        raise UserError(f"data.labels={labels} has no column {missing[0]!r}; expected sample_id and label, as "
                        "`ssl-robust relabel apply` writes them")  # fmt: skip
    given, ids = table.set_index("sample_id")["label"].str.strip(), pd.Series(manifest.table["sample_id"])
    if given.index.has_duplicates:
        twice = given.index[given.index.duplicated()][0]
        raise UserError(f"data.labels={labels} names {twice!r} twice; keep one line a scan")
    _check_classes(pd.Series(given.dropna()), manifest.classes, f"data.labels={labels}")
    known = ids.isin(given.index).to_numpy(dtype=bool)
    if not known.any():
        raise UserError(f"data.labels={labels} is of other scans (e.g. {given.index[0]!r} where these data have "
                        f"{ids.iloc[0]!r}); give the table of these data")  # fmt: skip
    before = pd.Series(manifest.table["label"])
    after = before.mask(known, ids.map(given)).astype("string")
    _tell(before, after, known, file.name)
    return replace(manifest, table=manifest.table.assign(label=after))


def _check_classes(given: pd.Series, classes: Sequence[str], where: str) -> None:
    unknown = pd.Series(given[~given.isin(classes).to_numpy(dtype=bool)])
    if len(unknown):
        name = str(unknown.iloc[0])
        near = difflib.get_close_matches(name, classes, n=1)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise UserError(f"{where} gives {unknown.index[0]!r} the label {name!r}, which is none of the classes "
                        f"({', '.join(classes)}){hint}; mend it, or name all classes in data.classes")  # fmt: skip


def _tell(before: pd.Series, after: pd.Series, known: np.ndarray, where: str) -> None:
    changed = (before.fillna("") != after.fillna("")).sum()
    kept = (~known & before.notna()).sum()
    more = f"; {kept:,} labelled scans are not in it and keep theirs" if kept else ""
    print(f"Note: {where} changes {changed:,} of {before.notna().sum():,} labels{more}", file=sys.stderr)
