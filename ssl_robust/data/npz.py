"""Arrays in MedMNIST's layout -> manifest, without ever holding all of them in memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.columns import pick, read_table
from ssl_robust.data.labels import without_spelled
from ssl_robust.data.manifest import Manifest, build_manifest
from ssl_robust.data.npz_source import NpzSource
from ssl_robust.data.votes import pick_votes
from ssl_robust.files import UserError, existing


def read_npz(
    *,
    path: str,
    index: str | None,
    task: int | None,
    classes: Sequence[str] | None,
    columns: Mapping[str, str | Sequence[str] | None],
    consensus: str,
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """`{train,val,test}_images` and `_labels` of an npz file -> manifest; ids are `<split>/<row>`.

    Args:
        path: the file; no array in it may be a pickle.
        index: table with more columns, matched by its columns `split` and `row`, else line by line; or None.
        task: which of several labels per scan to take, from 0; None where there is one.
        classes: names in the order of the codes.
        columns: how the index names its columns; several for `label` are its readers.
        consensus: how one label is made of those of several readers.
        fractions: not used, the splits are given.
        split_seed: not used, as above.

    Raises:
        UserError: the file is not of this layout, lengths differ, or a scan has several labels and no task is chosen.
    """
    source = NpzSource(existing(path, "data.path"))
    found: dict[str, list[Any]] = {"sample_id": [], "split": [], "label": [], "patient_id": []}
    for split, shape in source.shapes.items():
        found["sample_id"] += [f"{split}/{row}" for row in range(shape[0])]
        found["split"] += [split] * shape[0]
        found["label"] += _labels(source, split, shape[0], task)
        found["patient_id"] += _groups(source, split, shape[0])
    if len(whole := source.array("groups")):
        found["patient_id"] = _same_length(whole, len(found["sample_id"]), f"{source.path.name}: groups").tolist()
    table, votes = dict[str, Any](found), None
    if index is not None:
        unlabelled = all(label is None for label in found["label"])
        lines = _lines_of(existing(index, "data.index"), found["sample_id"])
        wanted = ["path", "patient_id", "true_label", *(["label"] if unlabelled or columns.get("label") else [])]
        added = pick(lines, columns, wanted, required=(), where=Path(index).name)
        if classes is None and "label" not in wanted:
            _say_who_names_classes(lines, found["label"], Path(index).name)
        table |= without_spelled(added, classes, Path(index).name)
        votes = pick_votes(lines, columns, consensus, classes=classes, where=Path(index).name)
    return build_manifest(
        table, source, classes=classes, fractions=fractions, split_seed=split_seed, where=source.path.name, votes=votes
    )


def _labels(source: NpzSource, split: str, n: int, task: int | None) -> list[Any]:
    """n labels as numbers or texts, None where there is none (no array, a negative code, NaN)."""
    labels = source.array(f"{split}_labels")
    if labels.size == 0:
        return [None] * n
    where = f"{source.path.name}: {split}_labels"
    labels = _same_length(labels, n, where).reshape(n, -1)
    if labels.shape[1] > 1 and task is None:
        raise UserError(f"{where} hold {labels.shape[1]} labels per scan; choose one with data.task=0 (counted from 0)")
    if task is not None and not 0 <= int(task) < labels.shape[1]:
        raise UserError(f"data.task={task} does not exist; {where} hold the labels 0 to {labels.shape[1] - 1}")
    column = labels[:, int(task or 0)]
    if column.dtype.kind == "f":
        if (column[~np.isnan(column)] % 1).any():
            raise UserError(f"{where} are fractions; expected one whole number (class code) per scan")
        return [None if np.isnan(value) or value < 0 else int(value) for value in column]
    return [None if column.dtype.kind == "i" and value < 0 else value for value in column.tolist()]


def _groups(source: NpzSource, split: str, n: int) -> list[Any]:
    groups = source.array(f"{split}_groups")
    if len(groups) == 0:
        return [None] * n
    return _same_length(groups, n, f"{source.path.name}: {split}_groups").reshape(n).tolist()


def _same_length(values: np.ndarray, n: int, where: str) -> np.ndarray:
    if len(values) != n:
        raise UserError(f"{where} has {len(values)} entries for {n} scans; expected one each")
    return values


def _lines_of(path: Path, ids: Sequence[str]) -> pd.DataFrame:
    """The index in the order of the arrays."""
    table = read_table(path)
    if not {"split", "row"} <= set(table):
        if len(table) != len(ids):
            raise UserError(
                f"{path.name} has {len(table)} lines for {len(ids)} scans; expected one each, or columns split and row"
            )
        return table
    lines: dict[str, int] = {}
    for line, name in enumerate(f"{split}/{row}" for split, row in zip(table["split"], table["row"], strict=True)):
        if name in lines:
            raise UserError(f"{path.name}: {name} (split/row) stands there twice; keep one line")
        lines[name] = line
    if missing := [name for name in ids if name not in lines]:
        raise UserError(f"{path.name} has no line for {missing[0]} (split/row) and {len(missing) - 1} other scans")
    return table.iloc[[lines[name] for name in ids]]


def _say_who_names_classes(lines: pd.DataFrame, labels: Sequence[Any], where: str) -> None:
    """Where the labels are bare numbers and a column of the index gives each of them one name, name that column."""
    for name in sorted({"class", "class_name", "diagnosis", "label"} & set(lines)):
        pairs = {pair for pair in zip(labels, lines[name], strict=True) if pair[0] is not None}
        if len({code for code, _ in pairs}) == len(pairs) == len({str(word) for _, word in pairs}) > 0 and not all(
            str(code) == str(word) for code, word in pairs
        ):
            print(f"Note: the column {name} of {where} names the classes; data.columns.label={name} shows these names",
                  file=sys.stderr)  # fmt: skip
            return
