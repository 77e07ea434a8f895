"""Labels as a table holds them -> class names: what counts as missing, and whether the table means names or codes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import pandas as pd

from ssl_robust.run import UserError

LABELS = ("label", "true_label")
_FEW = 50  # labels; of fewer, many different ones are no sign
_MEASURED = 30  # different numbers with fractions; a graded scale (0, 0.5, 1, …) has fewer
_WHOLE = r"[+-]?[0-9]+(\.0*)?"
_MISSING = ("NA", "N/A", "n/a", "#N/A", "<NA>", "None", "null", "NULL", "-", "?")  # "none" may well be a finding


def without_spelled(
    columns: Mapping[str, Any], classes: Sequence[str] | None, where: str, *, names: Sequence[str] = LABELS
) -> dict[str, Any]:
    """The columns of a table, NA where a label is one of the usual words for a missing one; said how often.

    Only for tables, in which such words are left by other programs; a folder of that name was made on purpose.

    Args:
        columns: (N,) texts, labels in those that `names` lists; others stay as they are.
        classes: names in the order of their codes, or None; what is named there is a class.
        where: what to call the table in messages.
        names: of the columns with labels.
    """
    found = dict(columns)
    words = [word for word in _MISSING if word not in {str(name) for name in classes or ()}]
    for name in filter(columns.__contains__, names):
        texts = columns[name].str.strip()
        missing = texts.isin(words).fillna(False)
        found[name] = columns[name].mask(missing)
        for word, n in texts[missing].value_counts().items():
            print(f"Note: {where}: {word!r} in {name} counts as missing (found {n}x); if that is a class, name it "
                  "in data.classes (with data=embeddings: rename it)", file=sys.stderr)  # fmt: skip
    return found


def without_missing(labels: pd.Series, classes: Sequence[str] | None) -> pd.Series:
    """NA for "nan" in any spelling, and for negative numbers where all labels are whole ones, as in an npz.

    Args:
        labels: (N,) texts.
        classes: names in the order of their codes, or None; what is named there is a class.
    """
    named = {str(name) for name in classes or ()}
    labels = labels.mask((labels.str.lower() == "nan").fillna(False) & ~labels.isin(named))
    if not labels.dropna().str.fullmatch(_WHOLE).all():
        return labels
    return labels.mask(labels.str.startswith("-").fillna(False) & ~labels.isin(named))


def check_single(labels: pd.Series, where: str) -> None:
    """One label in each cell.

    Raises:
        UserError: a cell holds several.
    """
    several = labels.dropna()
    several = several[several.str.contains("|", regex=False).to_numpy(dtype=bool)]
    if len(several):
        raise UserError(f"{where} holds several labels in one cell ({several.iloc[0]!r}); expected one label per scan, "
                        "take another column with data.columns.label=…")  # fmt: skip


def check_sorts(labels: pd.Series, where: str) -> None:
    """Labels sort the scans into classes; a column of ids, of free texts or of measurements was named by mistake.

    Classes that differ in upper and lower case only are said, as nobody means them.

    Args:
        labels: (N,) texts; classes that the user named are not in question.
        where: what to call the data in messages.

    Raises:
        UserError: there are too many different labels for classes.
    """
    known = labels.dropna()
    for names in _spellings(known.unique()):
        print(f"Note: {where}: the labels {' and '.join(map(repr, names))} count as {len(names)} classes; if they are "
              "one, write them alike", file=sys.stderr)  # fmt: skip
    distinct, example = known.nunique(), known.iloc[0] if len(known) else ""
    if len(known) < _FEW or distinct <= min(_MEASURED, len(known) / 2):
        return
    numbers = pd.Series(pd.to_numeric(known.drop_duplicates(), errors="coerce"), dtype="Float64")
    measured = bool(numbers.notna().all() and numbers.mod(1).ne(0).any())
    if measured or distinct > len(known) / 2:
        what = "are measurements" if measured else "look like an id or a free text"
        raise UserError(
            f"{where}: the labels {what} ({distinct} different ones for {len(known)} scans, e.g. {example!r}); "
            "expected classes, name another column with data.columns.label=…, or write classes into it"
        )


def _spellings(names: Iterable[str]) -> list[list[str]]:
    """Names that are the same but for upper and lower case and the spaces within, two or more each."""
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        alike.setdefault(" ".join(name.casefold().split()), []).append(name)
    return [each for each in alike.values() if len(each) > 1]


def check_classes(classes: Sequence[str], where: str) -> None:
    """Class names must differ.

    Raises:
        UserError: a name occurs twice.
    """
    names = [str(name) for name in classes]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{where}: data.classes names {repeated[0]!r} twice; give every class a name of its own")


def cleaned(columns: Sequence[pd.Series], classes: Sequence[str] | None, where: str) -> list[pd.Series]:
    """Columns of labels, NA where one is missing, class names where `classes` says what the codes are.

    Args:
        columns: (N,) texts each.
        classes: names in the order of their codes, or None.
        where: what to call the data in messages.

    Raises:
        UserError: a class occurs twice, or labels are not of `classes`.
    """
    columns = [without_missing(column, classes) for column in columns]
    if classes is None:
        return columns
    check_classes(classes, where)
    together = {label for column in columns for label in column.dropna()}
    return [named(column, classes, where, together=together) for column in columns]


def named(labels: pd.Series, classes: Sequence[str], where: str, *, together: Set[str]) -> pd.Series:
    """Labels as class names; all of a column are read alike, as names or as codes that count from 0.

    Args:
        labels: (N,) texts.
        classes: names in the order of their codes.
        where: what to call the data in messages.
        together: the labels of all columns; they decide where these alone could be either.

    Raises:
        UserError: a label is neither, names stand beside codes, or both readings fit and differ.
    """
    names = [str(name) for name in classes]
    by_name, by_code = {name: name for name in names}, {str(code): name for code, name in enumerate(names)}
    found = set(labels.dropna())
    for values in (found, together):
        fitting = [each for each in (by_name, by_code) if values <= set(each)]
        if fitting and all(fitting[0][value] == fitting[-1][value] for value in values):
            return labels.map(fitting[0], na_action="ignore").astype("string")
    raise UserError(f"{where}: {_reason(found, by_name, by_code)}")


def _reason(found: Set[str], by_name: Mapping[str, str], by_code: Mapping[str, str]) -> str:
    shown = ", ".join(by_name)
    if unknown := found - set(by_name) - set(by_code):
        return (
            f"the label {min(unknown)!r} is not one of data.classes ({shown}); "
            f"name all classes there, in the order of their codes"
        )
    if found <= set(by_name) and found <= set(by_code):
        return (
            f"the label {min(found)!r} may be a name of data.classes ({shown}) or a code that counts from 0; "
            "choose names that are no numbers, or leave data.classes out"
        )
    return (
        f"some labels are names of data.classes ({shown}) and some codes, e.g. {min(found - set(by_name))!r}; "
        "expected names or codes throughout, write one of them"
    )
