"""The table of scans: who is who, which label was given, which patient, which split, and where the pixels are.

A reader (one function per `configs/data/*.yaml`) makes a `Manifest`; nothing after it knows what the files were.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.corrected import with_labels
from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.headers import Headers
from ssl_robust.data.identifiers import identified
from ssl_robust.data.labels import check_sorts, cleaned
from ssl_robust.data.long_tail import long_tail
from ssl_robust.data.sources import Source, Subset, digest
from ssl_robust.data.splits import SPLITS, assign_splits, check_disjoint, named_splits
from ssl_robust.data.votes import Votes, check_votes, consensus
from ssl_robust.run import UserError
from ssl_robust.settings import defaults
from ssl_robust.targets import resolve

COLUMNS = ("sample_id", "path", "label", "patient_id", "split", "true_label")


@dataclass(frozen=True)
class Manifest:
    """All scans of a data set, one row each.

    Attributes:
        table: RangeIndex; columns `sample_id` (unique), `path` (to show; relative), `label`, `patient_id`, `split`
            (train, val, test), `true_label`, all of dtype "string", NA where unknown.
        classes: class names; their positions are the codes.
        source: pixels of the rows.
        personal: whether paths or headers say whom a scan shows, so that ids are hashed unless plain ones are asked.
        window: which values of the files become black and white, as in `Rules`.
        votes: where `label` is a consensus: (N, R) class names, one column of dtype "string" for each reader, NA where
            one gave none; a class that no consensus came to need not be one of `classes`.
        passed_over: how many files of each kind were found beside the scans and hold no picture, {"RT Plan": 3}.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    source: Source
    personal: bool = False
    window: str | tuple[float, float] = "auto"
    votes: pd.DataFrame | None = None
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def has_patients(self) -> bool:
        """Whether the patient of any scan is known."""
        return bool(self.table["patient_id"].notna().any())

    @property
    def fingerprint(self) -> str:
        """Hash of scans, ids, labels, readers, splits and who shares a patient; the same on every machine."""
        table = self.table[["sample_id", "label", "true_label", "split"]].assign(group=self.groups())
        votes = [] if self.votes is None else [self.votes.to_csv(index=False)]
        return digest(self.source.fingerprint, *self.classes, table.to_csv(index=False), *votes)

    def codes(self, column: str = "label") -> np.ndarray:
        """(N,) int64 positions in `classes` of `label` or `true_label`; -1 where there is none."""
        texts = self.table[column].to_numpy(dtype=object, na_value="")
        return pd.Index(self.classes, dtype=object).get_indexer(pd.Index(texts, dtype=object)).astype(np.int64)

    def groups(self) -> np.ndarray:
        """(N,) int64 patient codes; a scan whose patient is unknown has a code of its own."""
        codes, known = pd.factorize(self.table["patient_id"])
        unknown = codes < 0
        return np.where(unknown, len(known) + np.cumsum(unknown) - 1, codes).astype(np.int64)

    def file_codes(self) -> np.ndarray:
        """(N,) int64 codes of the files that the scans are parts of; every scan its own where there are no files."""
        files = self.source.files
        if files is None:
            return np.arange(len(self))
        codes = {file: code for code, file in enumerate(dict.fromkeys(files))}
        return np.array([codes[file] for file in files], dtype=np.int64)

    def rows(self, *splits: str) -> np.ndarray:
        """(n,) int64 rows of the named splits, in the order of the table; "all" names every row."""
        wanted = set(SPLITS) if "all" in splits else set(splits)
        if unknown := wanted - set(SPLITS):
            raise ValueError(f"unknown split {sorted(unknown)[0]!r}; expected train, val, test or all")
        return np.flatnonzero(self.table["split"].isin(sorted(wanted)).to_numpy(dtype=bool)).astype(np.int64)

    def take(self, rows: np.ndarray) -> Manifest:
        """The manifest of some rows, in the order given; the classes stay."""
        table = self.table.iloc[rows].reset_index(drop=True)
        votes = None if self.votes is None else self.votes.iloc[rows].reset_index(drop=True)
        return replace(self, table=table, votes=votes, source=Subset(self.source, np.asarray(rows)))


def build_manifest(
    columns: Mapping[str, Sequence[Any] | np.ndarray | pd.Series],
    source: Source,
    *,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
    where: str,
    votes: Votes | None = None,
) -> Manifest:
    """Columns as a reader found them -> checked manifest; makes the splits where none are given.

    Args:
        columns: `sample_id` and any of the other five; None, NaN and empty texts mean unknown, and so do labels below
            zero among whole numbers.
        source: pixels of the rows.
        classes: names in the order of their codes, or None: the labels that occur, numbers by value.
        fractions: shares of `val` and `test` where the splits are made here.
        split_seed: seed of those splits.
        where: what to call the data in messages.
        votes: labels of several people, whose consensus is `label`, or was when that was made.

    Raises:
        UserError: no scan, an id or a class twice, an unknown split, labels that are not of `classes` or no classes.
    """
    n = len(columns["sample_id"])
    if n == 0:
        raise UserError(f"{where} holds no scans")
    found = {name: _strings(columns.get(name), n) for name in COLUMNS}
    _check_ids(found["sample_id"], where)
    found["path"] = found["path"].fillna(found["sample_id"])
    readers = {} if votes is None else {str(name): _strings(column, n) for name, column in votes.table.items()}
    found["true_label"], found["label"], *given = cleaned(
        [found["true_label"], found["label"], *readers.values()], classes, where
    )
    table = None
    if votes is not None:
        table = pd.DataFrame(dict(zip(readers, given, strict=True)))
        if votes.typed:
            check_votes(table, where)
        if votes.rule is not None:
            found["label"] = consensus(table, votes.rule)
    if classes is None:
        check_sorts(found["label"], where)
    names = {*found["label"].dropna(), *found["true_label"].dropna()}
    manifest = Manifest(
        pd.DataFrame(found), tuple(map(str, classes or sorted(names, key=_natural))), source, votes=table
    )
    if found["split"].notna().any():
        splits = named_splits(found["split"].tolist(), where)
        packaged = defaults("data", "_common")
        if fractions and (dict(fractions), split_seed) != (packaged["fractions"], packaged["split_seed"]):
            print(
                f"Note: {where} brings its splits; data.fractions and data.split_seed change nothing", file=sys.stderr
            )
    else:
        ids = found["sample_id"].tolist()
        splits = assign_splits(ids, manifest.codes(), manifest.groups(), fractions=fractions, seed=split_seed)
    manifest.table["split"] = _strings(splits, n)
    return manifest


def _check_ids(ids: pd.Series, where: str) -> None:
    empty, repeated = ids.isna().to_numpy(dtype=bool), ids.duplicated().to_numpy(dtype=bool)
    if not (empty | repeated).any():
        return
    row = int((empty | repeated).argmax())
    if empty[row]:
        raise UserError(f"{where}: row {row + 1} has an empty sample_id; give every scan its own")
    name = ids.iloc[row]
    raise UserError(f"{where}: the sample_id {name!r} occurs {int((ids == name).sum())} times; give every scan its own")


def load_manifest(data: Mapping[str, Any]) -> Manifest:
    """The manifest that a `data` node of the configuration describes.

    Args:
        data: the composed node, or a dict from `data_settings`; `_target_` names the reader, a function of this
            package, which gets those keys that it has arguments for.

    Raises:
        UserError: an option is unknown or missing, the reader refuses the data, or splits share patients.
    """
    settings = complete(data)
    reader = _reader(settings)
    del settings["_target_"]
    wanted = inspect.signature(reader).parameters
    if _takes_files(reader):
        settings = {**defaults("data", "_files"), **settings}
        settings["rules"], settings["headers"] = Rules.read(settings), Headers.of(settings)
    known = {*wanted, *defaults("data", "_common"), *(defaults("data", "_files") if _takes_files(reader) else ())}
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UserError(f"data has no option {name}" + (f", did you mean data.{near[0]}" if near else ""))
    for name in wanted:
        if settings.get(name, "???") == "???":
            raise UserError(f"data.{name} is missing; add data.{name}=… to the command")
    if "columns" not in wanted:
        _refuse_columns(settings, wanted)
    manifest = reader(**{name: settings[name] for name in wanted})
    if manifest.votes is None and settings["consensus"] != defaults("data", "_common")["consensus"]:
        print("Note: data.consensus changes nothing, as no several readers are there (columns of a table are named as "
              "data.columns.label=[…])", file=sys.stderr)  # fmt: skip
    where, leaks = str(settings.get("path") or "data"), settings["split_leaks"]
    check_disjoint(manifest.table["split"].tolist(), manifest.groups(), leaks=leaks, where=where)
    if settings["long_tail"] is not None:
        manifest = _thinned(manifest, settings["long_tail"], settings["long_tail_seed"])
    manifest = identified(manifest, settings)
    return manifest if settings["labels"] is None else with_labels(manifest, settings["labels"])


def _thinned(manifest: Manifest, ratio: Any, seed: int) -> Manifest:
    """The manifest with a long tail of classes in its training split; the other splits stay as they are."""
    table, train = manifest.table, manifest.rows("train")
    patients = table["patient_id"].fillna(table["sample_id"]).to_numpy()[train]
    kept = long_tail(
        manifest.codes()[train], patients, table["sample_id"].to_numpy()[train], ratio=ratio, seed=seed,
        classes=manifest.classes,
    )  # fmt: skip
    return manifest.take(np.delete(np.arange(len(manifest)), np.delete(train, kept)))


def _refuse_columns(settings: Mapping[str, Any], wanted: Collection[str]) -> None:
    """Data without a table have no columns to name; silence would look as if they were read."""
    if named := [name for name, column in settings["columns"].items() if column is not None]:
        hint = " (patients of a folder: data.patient_pattern=)" if "patient_pattern" in wanted else ""
        raise UserError(
            f"data.columns.{named[0]}={settings['columns'][named[0]]} names a column of a table, and these data have "
            f"none; take it away{hint}"
        )


def data_settings(name: str, /, **values: Any) -> dict[str, Any]:
    """The packaged values of `data=<name>` with some replaced, for use without Hydra.

    Args:
        name: file under `configs/data/`, e.g. "folder".
        values: options to replace, e.g. `path="scans"`; of `columns` only those that differ.
    """
    common, own = defaults("data", "_common"), defaults("data", name)
    if _takes_files(_reader(own)):
        common |= defaults("data", "_files")
    columns = {**common["columns"], **values.pop("columns", {})}
    return {**common, **own, **values, "columns": columns}


def complete(data: Mapping[str, Any]) -> dict[str, Any]:
    """A `data` node as plain containers, interpolations resolved; options that all readers share are filled in."""
    from omegaconf import DictConfig, OmegaConf

    values: Any = OmegaConf.to_container(data, resolve=True) if isinstance(data, DictConfig) else data
    return {**defaults("data", "_common"), **values}


def _reader(settings: Mapping[str, Any]) -> Callable[..., Manifest]:
    if settings.get("_target_") == defaults("data", "embeddings")["_target_"]:
        raise UserError(
            "data=embeddings holds vectors and no scans; only `audit` and `probe` take it, give the scans here"
        )
    return resolve("data", settings)


def _takes_files(reader: Callable[..., Manifest]) -> bool:
    """Whether the reader's scans are files, which the options of `configs/data/_files.yaml` are about."""
    return "rules" in inspect.signature(reader).parameters


def _strings(values: Any, n: int) -> pd.Series:
    """A "string" column; None, NaN and blank texts become NA."""
    if values is None:
        return pd.Series([pd.NA] * n, dtype="string", index=pd.RangeIndex(n))
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.StringDtype):
        stripped = values.str.strip()
        return stripped.mask(stripped == "").astype("string").set_axis(pd.RangeIndex(n))
    texts = [pd.NA if pd.isna(value) or not str(value).strip() else str(value).strip() for value in values]
    return pd.Series(texts, dtype="string", index=pd.RangeIndex(n))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts "2" before "10" and "grade 2" before "grade 10"."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
