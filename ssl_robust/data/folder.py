"""A folder of image files -> manifest; its sub-folders name classes, and perhaps splits."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ssl_robust.data.columns import TABLES
from ssl_robust.data.formats.known import EXPECTED, is_archive, kind_of
from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.headers import Headers
from ssl_robust.data.held import held
from ssl_robust.data.identifiers import LIST
from ssl_robust.data.manifest import Manifest, build_manifest
from ssl_robust.data.sources import FileSource
from ssl_robust.data.splits import split_name
from ssl_robust.files import UserError, existing, printable

_IGNORED = {"__MACOSX"}  # beside the folder in archives packed on a Mac


def read_folder(
    *,
    path: str,
    patient_pattern: str | None,
    classes: Sequence[str] | None,
    fractions: Mapping[str, float],
    split_seed: int,
    rules: Rules,
    headers: Headers,
) -> Manifest:
    """Image files below a folder -> manifest; ids are the paths relative to it.

    Layouts: `CLASS/…/x.png`; `train/CLASS/…/x.png` with `val` and `test` beside (the split is kept); images without
    such folders, or all in one, or one folder a patient by the files' headers (unlabelled). Hidden files and links that
    lead back up are passed over.

    Args:
        path: the folder, or the DICOMDIR of a disc, which lists its images (unlabelled).
        patient_pattern: regular expression; what its first group (or all of it) matches in the relative path is the
            patient. None: patients are unknown.
        classes: names of the classes in the order of their codes.
        fractions: shares of `val` and `test` where no split is given.
        split_seed: seed of those splits.
        rules: how files become scans.
        headers: what is known of these files.

    Raises:
        UserError: no image is there, split folders stand beside others, or the pattern matches nothing.
    """
    root, found, classed = _files(path)
    # Names on Linux are bytes; those that are no UTF-8 are shown as `\xff`, so that every table and page can hold them.
    names = [name.encode(errors="surrogateescape").decode(errors="backslashreplace") for name in found]
    scans = held([root / name for name in found], names, rules, headers)
    files, names = [root / found[file] for file in scans.of], [names[file] for file in scans.of]
    splits, labels = _layout([tuple(name.split("/")[:-1]) if classed else () for name in names], path)
    if classes is None and scans.personal and _are_patients(labels, scans.groups):
        print(
            f"Note: each folder of data.path={path} holds one patient, so that folders count as patients and not as "
            "classes; name them with data.classes=[…] if they are classes",
            file=sys.stderr,
        )
        labels = [None] * len(labels)
    if labels and not any(labels):
        _say_tables(root, path)
    table: dict[str, Any] = {
        "sample_id": [unicodedata.normalize("NFC", name) for name in scans.names],  # macOS: umlauts in two characters
        "label": labels,
        "split": splits,
        "patient_id": scans.patients(_patients(names, patient_pattern)),
    }
    source = FileSource(files, table["sample_id"], scans.parts, rules)
    manifest = build_manifest(
        table, source, classes=classes, fractions=fractions, split_seed=split_seed, where=f"data.path={path}"
    )
    personal = scans.personal or patient_pattern is not None
    return replace(manifest, personal=personal, window=rules.window, passed_over=scans.passed_over)


def _files(path: str) -> tuple[Path, list[str], bool]:
    """The folder, the relative paths of its images, and whether folders may name classes."""
    given = Path(path).expanduser()
    if given.name.upper() == "DICOMDIR" and given.is_file():
        from ssl_robust.data.formats.dicomdir import listed  # pydicom takes its time

        return given.parent, listed(given), False  # its folders are numbers, or patients
    root = existing(path, "data.path", folder=True)
    others: Counter[str] = Counter()
    names = list(_image_files(root, others))
    archives = {suffix: n for suffix, n in others.items() if is_archive(suffix)}
    if archives and names:
        there = ", ".join(f"{n} {suffix}" for suffix, n in sorted(archives.items()))
        print(f"Note: data.path={path} holds archives ({there}); unpack those that hold scans", file=sys.stderr)
    if archives and not names:
        raise UserError(f"data.path={path} holds archives and no image, e.g. {next(iter(archives))}; unpack them first")
    if not names:
        there = ", ".join(f"{n} {suffix or 'files without an ending'}" for suffix, n in others.most_common(3))
        raise UserError(f"data.path={path} holds no image ({there or 'it is empty'}); expected {EXPECTED}")
    return root, names, True


def _say_tables(root: Path, path: str) -> None:
    """No folder names a class: name the tables beside the scans, which may hold the labels."""
    tables = sorted(each for each in root.iterdir() if each.suffix.lower() in TABLES and each.name != LIST)
    if tables:
        where = printable(str(Path(path) / tables[0].name))
        print(f"Note: no folder names a class; if the table beside the scans has labels: data=csv data.path={where}",
              file=sys.stderr)  # fmt: skip


def _image_files(root: Path, others: Counter[str]) -> Iterator[str]:
    """Relative paths of the image files, with `/`, sorted; counts the endings of other files in `others`."""

    def below(folder: str, prefix: str, above: frozenset[str]) -> Iterator[str]:
        real = os.path.realpath(folder)
        if real in above:  # a link that leads back up
            return
        try:
            with os.scandir(folder) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(
                f"the folder {folder} cannot be looked into ({(error.strerror or str(error)).lower()}); "
                "let it be read, or move it out of data.path="
            ) from None
        for entry in ordered:
            if entry.name.startswith(".") or entry.name in _IGNORED:
                continue
            if _is_folder(entry):
                yield from below(entry.path, f"{prefix}{entry.name}/", above | {real})
            elif kind_of(Path(entry.path)):
                yield prefix + entry.name
            else:
                others[_ending(entry.name)] += 1

    yield from below(str(root), "", frozenset())


def _ending(name: str) -> str:
    """Of a file that is no scan, as it is told of: `.csv`, `.tar.gz`."""
    return ".tar.gz" if name.lower().endswith(".tar.gz") else Path(name).suffix.lower()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _layout(folders: list[tuple[str, ...]], path: str) -> tuple[list[str | None], list[str | None]]:
    """Split and label of each file, from the folders that it lies in."""
    folders = _without_wrapper(folders)
    tops = {parts[0] if parts else "" for parts in folders}
    named = {top for top in tops if split_name(top)}
    splits: list[str | None] = [None] * len(folders)
    if named == tops or len({split_name(top) for top in named}) > 1:
        if rest := sorted(tops - named):
            beside = f"the folder {rest[0]}" if rest[0] else "images"
            raise UserError(
                f"data.path={path} holds the splits {', '.join(sorted(named))} beside {beside}; move one of them away"
            )
        splits = [split_name(parts[0]) for parts in folders]
        folders = _without_wrapper([parts[1:] for parts in folders])
    return splits, [parts[0] if parts else None for parts in folders]


def _without_wrapper(folders: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Leave out leading folders that all files share: they tell nothing apart. A split's folder stays."""
    while all(folders) and len({parts[0] for parts in folders}) == 1 and not split_name(folders[0][0]):
        folders = [parts[1:] for parts in folders]
    return folders


def _are_patients(labels: list[str | None], patients: list[str | None]) -> bool:
    """Whether folders part the scans as patients do: the names of people must not come out as classes."""
    pairs = set(zip(labels, patients, strict=True))
    known = not any(None in pair for pair in pairs)
    return known and len(pairs) == len({label for label, _ in pairs}) == len({patient for _, patient in pairs}) > 1


def _patients(names: list[str], pattern: str | None) -> list[str | None] | None:
    if pattern is None:
        return None
    try:
        matches = [re.search(pattern, name) for name in names]
    except re.error as error:
        raise UserError(f"data.patient_pattern={pattern} is not a regular expression ({error})") from None
    if not any(matches):
        raise UserError(f"data.patient_pattern={pattern} matches no path, e.g. not {names[0]}; expected one that does")
    if missed := [name for name, match in zip(names, matches, strict=True) if match is None]:
        print(
            f"Note: data.patient_pattern does not match {len(missed)} of {len(names)} file names; each of these counts "
            "as a patient of its own",
            file=sys.stderr,
        )
    return [None if match is None else match.group(1 if match.re.groups else 0) for match in matches]
