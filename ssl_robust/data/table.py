"""A table with one line per scan (CSV, Excel, Parquet) -> manifest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.columns import pick, read_table
from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.headers import Headers
from ssl_robust.data.held import Held, held
from ssl_robust.data.labels import check_single, without_spelled
from ssl_robust.data.manifest import COLUMNS, Manifest, build_manifest
from ssl_robust.data.sources import FileSource
from ssl_robust.data.votes import pick_votes
from ssl_robust.files import UserError, existing


def read_csv(
    *,
    path: str,
    sheet: str | None,
    root: str | None,
    classes: Sequence[str] | None,
    columns: Mapping[str, str | Sequence[str] | None],
    consensus: str,
    fractions: Mapping[str, float],
    split_seed: int,
    rules: Rules,
    headers: Headers,
) -> Manifest:
    """Lines of a table -> manifest; the column `path` is required, `sample_id` is the relative path if absent.

    Args:
        path: the table; see `read_table` for its kinds.
        sheet: of an Excel workbook; None: the first.
        root: folder that holds all files and that the paths start from (or else from the table); None: the table's own.
        classes: names in the order of the codes.
        columns: how the table names its columns; several for `label` are its readers.
        consensus: how one label is made of those of several readers.
        fractions: shares of `val` and `test` where no split is given.
        split_seed: seed of those splits.
        rules: how files become scans.
        headers: what is known of these files.

    Raises:
        UserError: a column is not there, a line has no path or one that leads out of `root`, a cell holds several
            labels, a scan stands there twice, or no file exists.
    """
    file = existing(path, "data.path")
    base = file.parent if root is None else existing(root, "data.root", folder=True)
    table = read_table(file, sheet=sheet)
    found: dict[str, Any] = dict(pick(table, columns, COLUMNS, required=["path"], where=file.name))
    votes = pick_votes(table, columns, consensus, classes=classes, where=file.name)
    files, parts = _named(found["path"], base, file)
    names = _shown(files, base)
    _check_paths([f"{name}#{part}" if part else name for name, part in zip(names, parts, strict=True)], file.name)
    scans = held(files, names, rules, headers, parts)
    found = without_spelled(_spread(found, scans), classes, file.name)
    if "label" in found:
        check_single(found["label"], file.name)
    if votes is not None:
        votes = votes._replace(table=votes.table.iloc[scans.of])
    source = FileSource([files[row] for row in scans.of], scans.names, scans.parts, rules)
    manifest = build_manifest(
        found, source, classes=classes, fractions=fractions, split_seed=split_seed, where=file.name, votes=votes
    )
    return replace(manifest, personal=scans.personal, window=rules.window, passed_over=scans.passed_over)


def _named(paths: Sequence[Any], base: Path, table: Path) -> tuple[list[Path], list[str]]:
    """The file that each line names, and which part of it; "" where all of it is meant."""
    for row, value in enumerate(paths):
        if pd.isna(value) or not value.strip():
            raise UserError(f"{table.name}: line {row + 2} has an empty path; give each scan its file")
    places = [_place(_start(value.strip(), base, table), value.strip()) for value in paths]
    files = [file for file, _ in places]
    if files and not any(each.exists() for each in files):
        raise UserError(f"{table.name}: none of its files exists, e.g. {files[0]}; name their folder with data.root=…")
    return files, [part for _, part in places]


def _spread(lines: Mapping[str, pd.Series], scans: Held) -> dict[str, Any]:
    """The columns of a table with one row for each scan: a line may name a file of several."""
    found: dict[str, Any] = {name: values.iloc[scans.of].reset_index(drop=True) for name, values in lines.items()}
    if "sample_id" in found:
        several = np.bincount(scans.of)[scans.of] > 1
        ends = [f"#{part}" if many else "" for part, many in zip(scans.parts, several, strict=True)]
        found["sample_id"] = found["sample_id"] + pd.Series(ends, dtype="string")
    found["patient_id"] = scans.patients(found.get("patient_id"))
    return {"sample_id": scans.names, **found, "path": scans.names}


def _check_paths(names: Sequence[str], where: str) -> None:
    if repeated := [name for name, n in Counter(names).items() if n > 1]:
        lines = [row + 2 for row, name in enumerate(names) if name == repeated[0]]
        raise UserError(
            f"{where}: the path {repeated[0]!r} occurs {len(lines)} times (lines {lines[0]} and {lines[1]}); keep one "
            "line a scan, with a column for each reader (data.columns.label=[…]) if several gave a label"
        )


def _start(text: str, base: Path, table: Path) -> Path:
    """The folder that a path starts from: the base, else the table's own; it may not lead out of the base.

    A table may come from others, and a relative path in it is theirs; an absolute one says plainly what it reads, and
    tables of hospitals hold such paths.
    """
    steps = text.replace("\\", "/")
    if os.path.isabs(text) or (base == table.parent and ".." not in steps.split("/")):
        return base
    whole = os.path.abspath(base)
    starts = [each for each in (base, table.parent) if Path(os.path.abspath(each / steps)).is_relative_to(whole)]
    if starts:
        return next((each for each in starts if _place(each, text)[0].exists()), starts[0])
    holds = os.path.commonpath([os.path.abspath(table.parent / steps), os.path.abspath(table.parent)])
    raise UserError(
        f"{table.name}: the path {text} leads out of {base}; name a folder that holds all files with data.root=, "
        f"e.g. data.root={holds}"
    )


def _place(base: Path, text: str) -> tuple[Path, str]:
    """The file that a cell names, and its part after a `#`; a path written on Windows is understood elsewhere too."""
    whole, _, part = text.rpartition("#")
    for name, rest in ((text, ""), (text.replace("\\", "/"), ""), (whole, part), (whole.replace("\\", "/"), part)):
        if name and (base / name).exists():
            return base / name, rest
    return base / text, ""


def _shown(files: Sequence[Path], base: Path) -> list[str]:
    """Paths that name no machine: relative to the base, or to what absolute paths have in common."""
    texts = [os.path.normpath(file) for file in files]
    start = os.path.normpath(base)
    foreign = [text for text in texts if os.path.isabs(text) and not text.startswith(start + os.sep)]
    common = os.path.commonpath([os.path.dirname(text) for text in foreign]) if foreign else start
    return [
        PurePosixPath(Path(os.path.relpath(text, common if text in set(foreign) else start)).as_posix()).as_posix()
        for text in texts
    ]
