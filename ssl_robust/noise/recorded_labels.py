"""The labels that another run was given, so that every strategy is trained on the very same errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.files import existing

_NAME = "labels.csv"


@dataclass(frozen=True)
class RecordedLabels:
    """A labels.csv, ready to be laid over samples.

    Attributes:
        codes: (M,) int64, -1 where the run gave no label; the index is `sample_id`.
        where: the file, for messages.
    """

    codes: pd.Series
    where: str

    def given(self, clean: np.ndarray, ids: Sequence[Any] | np.ndarray | range) -> np.ndarray:
        """(N,) codes as that run was given them; -1 stays without a label.

        Args:
            clean: (N,) codes, -1 = no label.
            ids: (N,) `sample_id`.

        Raises:
            ValueError: the run gave no label to a sample that has one here.
        """
        labelled = np.flatnonzero(clean >= 0)
        wanted = pd.Index(np.asarray(ids, dtype=object)[labelled], dtype=object)
        found = self.codes.reindex(wanted).fillna(-1).to_numpy(dtype=np.int64)
        lacks = found < 0
        if lacks.any():
            raise ValueError(
                f"{self.where} has no label of {lacks.sum():,} of the {len(lacks):,} samples in train and val (e.g. "
                f"{wanted[lacks.argmax()]!r}); give the labels.csv of a run on the same data="
            )
        given = clean.copy()
        given[labelled] = found
        return given


def recorded(classes: Sequence[Any], *, labels: str | Path) -> RecordedLabels:
    """A label becomes what another run was given in its place, whatever the seed of this one.

    Args:
        classes: the K classes.
        labels: labels.csv of a finetune run (or the run's directory): `sample_id` and `given_label` are read.

    Raises:
        ValueError: no file is named, it lacks a column, names a sample twice, or a class that does not exist.
        UserError: there is no such file, or it is no table.
    """
    if str(labels) in ("None", "???", ""):
        raise ValueError("noise.labels is missing; give the labels.csv of a finetune run")
    file = existing(labels, "noise.labels", folder=None)
    if file.is_dir():
        file = existing(file / _NAME, "noise.labels")
    table = read_table(file)
    for name in ("sample_id", "given_label"):
        if name not in table:
            raise ValueError(f"{file} has no column {name!r}; give the labels.csv of a finetune run")
    if table["sample_id"].duplicated().any():
        twice = table.loc[table["sample_id"].duplicated(), "sample_id"].iloc[0]
        raise ValueError(f"{file} names the sample {twice!r} twice; every sample has one label")
    names = table["given_label"]
    codes = pd.Index([str(each) for each in classes], dtype=object).get_indexer(
        pd.Index(names.to_numpy(dtype=object, na_value=""), dtype=object)
    )
    unknown = names[(codes < 0) & names.notna().to_numpy(dtype=bool)]
    if len(unknown):
        raise ValueError(f"{file} holds the label {unknown.iloc[0]!r} and the classes here are "
                         f"{', '.join(map(str, classes))}; give the labels.csv of a run on the same data=")  # fmt: skip
    return RecordedLabels(pd.Series(codes, index=table["sample_id"].to_numpy(dtype=object)), str(file))
