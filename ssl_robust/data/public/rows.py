"""The scans of a public set, one row each -> manifest; official splits are kept, a missing `val` comes out of train."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.given import encode, patient_codes
from ssl_robust.data.manifest import Manifest, build_manifest
from ssl_robust.data.public.layout import Layout
from ssl_robust.data.sources import FileSource
from ssl_robust.data.splits import assign_splits
from ssl_robust.files import UserError
from ssl_robust.settings import defaults


class Row(NamedTuple):
    """A scan of a public set.

    Attributes:
        name: its file relative to the root of the set, with `/`; also its id.
        label: its class; None where the set gives none.
        split: train, val or test; None in all rows where the set has no official split.
        patient: who or what its scans share; None: unknown.
    """

    name: str
    label: str | None
    split: str | None
    patient: str | None = None


def rows_of_classes(
    layout: Layout, folder: str, *, split: str, classes: Sequence[str], inside: str = ""
) -> Iterator[Row]:
    """The images of `folder/CLASS[/inside]`, class after class.

    Args:
        layout: of the set.
        folder: that holds the folders of the classes.
        split: of all of them.
        classes: names of these folders, every one of which must hold an image.
        inside: the folder of the scans in a class's folder, where others lie beside (masks).
    """
    for label in classes:
        for name in layout.images(f"{folder}/{label}/{inside}".rstrip("/")):
            yield Row(name, label, split)


def official_table(layout: Layout, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """A table of the set, all columns as text, blanks around names and values taken off.

    Args:
        layout: of the set.
        name: of the file.
        columns: that it must have.

    Raises:
        UserError: no such file, or another table.
    """
    table = read_table(layout.required(name)).rename(columns=str.strip)
    if missing := [column for column in columns if column not in table]:
        raise UserError(
            f"{name} in data.path={layout.path} has no column {missing[0]!r} but {', '.join(map(str, table))}; "
            f"download the official one from {layout.homepage}"
        )
    return pd.DataFrame({column: table[column].str.strip() for column in columns})


def manifest_of(
    rows: Sequence[Row],
    layout: Layout,
    *,
    classes: Sequence[str],
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """Rows -> manifest.

    Args:
        rows: of all scans.
        layout: of the set.
        classes: names in the order of their codes.
        fractions: `val`, the share of the official training scans that become the validation split where the set has
            train and test alone; both shares where it has no split at all.
        split_seed: seed of the splits made here.
    """
    splits = [row.split for row in rows]
    if "test" in splits and "val" not in splits:
        _say_what_test_is(layout, fractions)
        splits, fractions = _with_validation(rows, fractions["val"], split_seed), {}
    table = {
        "sample_id": [row.name for row in rows],
        "label": [row.label for row in rows],
        "patient_id": [row.patient for row in rows],
        "split": splits,
    }
    source = FileSource([layout.root / row.name for row in rows], table["sample_id"])
    where = f"data.path={layout.path}"
    return build_manifest(table, source, classes=classes, fractions=fractions, split_seed=split_seed, where=where)


def _with_validation(rows: Sequence[Row], share: float, seed: int) -> list[str | None]:
    """The official splits, with whole patients of train as `val`, drawn as where no split is given."""
    splits = [row.split for row in rows]
    places = [place for place, split in enumerate(splits) if split == "train"]
    train = [rows[place] for place in places]
    drawn = assign_splits(
        [row.name for row in train],
        encode([row.label for row in train])[0],
        patient_codes([row.patient for row in train], len(train)),
        fractions={"val": share, "test": 0.0},
        seed=seed,
    )
    for place, split in zip(places, drawn, strict=True):
        splits[place] = str(split)
    return splits


def _say_what_test_is(layout: Layout, fractions: Mapping[str, float]) -> None:
    if fractions["test"] != defaults("data", "_common")["fractions"]["test"]:
        print(f"Note: data.path={layout.path} brings its test split; data.fractions.test changes nothing",
              file=sys.stderr)  # fmt: skip
