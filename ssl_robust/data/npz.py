"""Arrays in MedMNIST's layout -> manifest, without ever holding all of them in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from ssl_robust.data.columns import existing, pick, read_table
from ssl_robust.data.manifest import Manifest, build_manifest, digest
from ssl_robust.data.splits import SPLITS
from ssl_robust.run import UserError


def read_npz(
    *,
    path: str,
    index: str | None,
    task: int | None,
    classes: Sequence[str] | None,
    columns: Mapping[str, str | None],
    fractions: Mapping[str, float],
    split_seed: int,
) -> Manifest:
    """`{train,val,test}_images` and `_labels` of an npz file -> manifest; ids are `<split>/<row>`.

    Args:
        path: the file; no array in it may be a pickle.
        index: CSV with more columns, matched by its columns `split` and `row`, else line by line; or None.
        task: which of several labels per scan to take, from 0; None where there is one.
        classes: names in the order of the codes.
        columns: how the index names its columns.
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
    table: dict[str, Any] = dict(found)
    if index is not None:
        unlabelled = all(label is None for label in found["label"])
        table |= _from_index(existing(index, "data.index"), columns, found, with_labels=unlabelled)
    return build_manifest(
        table, source, classes=classes, fractions=fractions, split_seed=split_seed, where=source.path.name
    )


class NpzSource:
    """Scans of the three image arrays, one after another; rows in order are streamed, not loaded.

    Args:
        path: an npz file.

    Raises:
        UserError: not an npz file, no image arrays in it, or images of a wrong type or shape.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{path} is not a complete npz file ({error}); write it with numpy.savez") from None
        self._members = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, np.dtype] = {}
        for split in SPLITS:
            if f"{split}_images" in self._members:
                stream, self.shapes[split], self._types[split] = self._open(f"{split}_images")
                stream.close()
                self._check(split)
        if not self.shapes:
            raise UserError(
                f"{path} holds no array train_images, val_images or test_images but {', '.join(self._members)}; "
                "rename the arrays, or save the scans as files and use data=folder"
            )
        self._starts = np.cumsum([0, *(shape[0] for shape in self.shapes.values())])
        self._stream: IO[bytes] | None = None
        self._next = -1

    files = None

    @property
    def fingerprint(self) -> str:
        """From the checksums in the archive's directory: the content, without reading it."""
        images = [self._members[f"{split}_images"] for split in self.shapes]
        return digest(*(f"{info.filename} {info.CRC:x} {info.file_size}" for info in images))

    @property
    def state(self) -> str:
        return digest(self.fingerprint, str(self.path.stat().st_mtime_ns))

    def array(self, name: str) -> np.ndarray:
        """A whole (small) array of the file; empty where there is none of that name.

        Raises:
            UserError: the array is a pickle or damaged.
        """
        if name not in self._members:
            return np.empty(0)
        try:
            with self._zip.open(self._members[name]) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zipfile.zlib.error) as error:
            raise UserError(f"{self.path}: the array {name} cannot be read ({error}); save it as numbers") from None

    def read(self, row: int) -> np.ndarray:
        """(H, W) or (H, W, 3) pixels of one row; fast for the row after the last one."""
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        split = list(self.shapes)[which]
        shape, dtype = self.shapes[split][1:], self._types[split]
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        if self._stream is None or row != self._next or row == self._starts[which]:
            self._stream = self._open(f"{split}_images")[0]
            skip = (row - int(self._starts[which])) * n_bytes
            while skip > 0 and (passed := self._stream.read(min(skip, 1 << 24))):
                skip -= len(passed)
        self._next = row + 1
        raw = self._stream.read(n_bytes)
        if len(raw) < n_bytes:
            self._next = -1
            raise ValueError(f"{self.path.name} ends inside {split}_images")
        image = np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
        return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image

    def _open(self, name: str) -> tuple[IO[bytes], tuple[int, ...], np.dtype]:
        """The array's bytes from its first number on, with its shape and type."""
        stream = self._zip.open(self._members[name])
        try:
            version = np.lib.format.read_magic(stream)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read_header[version](stream)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{self.path}: the array {name} cannot be read ({error}); save it with numpy.savez"
            ) from None
        if fortran and len(shape) > 1:
            raise UserError(f"{self.path}: {name} is in Fortran order; save np.ascontiguousarray of it")
        return stream, shape, dtype

    def _check(self, split: str) -> None:
        shape, dtype = self.shapes[split], self._types[split]
        if dtype.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16)):
            raise UserError(f"{self.path}: {split}_images are {dtype}; expected uint8 or uint16, convert them")
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
            raise UserError(
                f"{self.path}: {split}_images have the shape {shape}; expected (N, H, W) or (N, H, W, 3), "
                "volumes are not read yet"
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


def _from_index(
    path: Path, columns: Mapping[str, str | None], found: Mapping[str, list[Any]], *, with_labels: bool
) -> dict[str, pd.Series]:
    """Columns that the index adds, in the order of the arrays."""
    table = read_table(path)
    n = len(found["sample_id"])
    if {"split", "row"} <= set(table):
        ids = table["split"].str.strip() + "/" + table["row"].str.strip()
        if ids.duplicated().any():
            raise UserError(
                f"{path.name}: {ids[ids.duplicated()].iloc[0]} (split/row) stands there twice; keep one line"
            )
        table = table.set_index(pd.Index(ids)).reindex(found["sample_id"])
        if table["row"].isna().any():
            missing = table.index[table["row"].isna()]
            raise UserError(f"{path.name} has no line for {missing[0]} (split/row) and {len(missing) - 1} others")
    elif len(table) != n:
        raise UserError(
            f"{path.name} has {len(table)} lines for {n} scans; expected one each, or columns split and row"
        )
    wanted = ["path", "patient_id", "true_label", *(["label"] if with_labels or columns.get("label") else [])]
    return pick(table, columns, wanted, required=(), where=path.name)
