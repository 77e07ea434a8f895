"""Several readers of each scan: their columns in a user's table, and the one label that follows from them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ssl_robust.data.columns import absent, filled, shown
from ssl_robust.data.dawid_skene import dawid_skene
from ssl_robust.data.labels import check_single, without_spelled
from ssl_robust.run import UserError

RULES = ("majority", "dawid_skene")
COLUMN = "vote_"  # before a reader's name, in tables of this package
_EQUAL = 1e-6  # probabilities nearer to each other are a tie


class Votes(NamedTuple):
    """What the readers gave and how one label is made of it.

    Attributes:
        table: (N, R) texts, one column for each reader, NA where one gave no label.
        rule: one of `RULES`; None where the label was made already and is kept.
        typed: whether readers typed their words, which may be misspelled, rather than chose among given ones.
    """

    table: pd.DataFrame
    rule: str | None
    typed: bool = True


def pick_votes(
    table: pd.DataFrame,
    columns: Mapping[str, str | Sequence[str] | None],
    rule: str,
    *,
    classes: Sequence[str] | None,
    where: str,
) -> Votes | None:
    """The columns that `data.columns.label=[…]` names; None where it names one, or none.

    Args:
        table: the user's table.
        columns: `data.columns`.
        rule: `data.consensus`.
        classes: names in the order of their codes, or None.
        where: the table's name in messages.

    Raises:
        UserError: a column is not there, is empty or is named twice, there is only one, a cell holds several labels, or
            the rule is none.
    """
    check_rule(rule)
    named = columns.get("label")
    if named is None or isinstance(named, str):
        return None
    if len(named) < 2 or len(set(named)) < len(named):
        raise UserError(f"data.columns.label={shown(named)} must be several columns, one for each reader; a single one "
                        "is written without brackets")  # fmt: skip
    check_rule(rule, n_readers=len(named))
    for column in named:
        if column not in table:
            raise absent(table, column, "label", where, among=named)
    found = {column: filled(pd.Series(table[column]), where) for column in named}
    for column in found.values():
        check_single(column, where)
    return Votes(pd.DataFrame(without_spelled(found, classes, where, names=named)), rule)


def check_rule(rule: str, *, n_readers: int | None = None) -> None:
    """`data.consensus` is one of `RULES` and fits the readers, where these are known.

    Raises:
        UserError: it is none, or needs more readers.
    """
    if rule not in RULES:
        raise UserError(f"data.consensus={rule} does not exist; expected {' or '.join(RULES)}")
    if rule == "dawid_skene" and n_readers is not None and n_readers < 3:
        raise UserError("data.consensus=dawid_skene needs three readers or more, of two nothing tells who erred; "
                        "take data.consensus=majority")  # fmt: skip


def as_columns(votes: pd.DataFrame) -> pd.DataFrame:
    """The votes as columns of a table of this package, which no other column is named like."""
    return votes.add_prefix(COLUMN)


def from_columns(table: pd.DataFrame) -> pd.DataFrame | None:
    """The votes that `as_columns` put into a table; None where there are none."""
    named = [name for name in table if name.startswith(COLUMN)]
    names = {name: name.removeprefix(COLUMN) for name in named}
    return pd.DataFrame(table[named]).rename(columns=names) if named else None


def coded(votes: pd.DataFrame) -> tuple[np.ndarray, pd.Index]:
    """(N, R) int64 codes, -1 where there is no label, and the K classes that the readers gave, sorted."""
    codes, classes = pd.factorize(votes.to_numpy(dtype=object, na_value=None).ravel(), sort=True)
    return codes.reshape(votes.shape).astype(np.int64), pd.Index(classes)


def consensus(votes: pd.DataFrame, rule: str) -> pd.Series:
    """(N,) one label for each scan, as texts; NA where nobody voted, and in a tie, which nothing settles.

    A tie that the order of the classes or a draw settled would be a label that no reader stands for more than for
    another; such a scan counts as unlabelled.

    Args:
        votes: (N, R) texts, NA where a reader gave no label.
        rule: one of `RULES`.
    """
    codes, classes = coded(votes)
    if rule == "majority":
        weights = vote_counts(codes, n_classes=len(classes)).astype(np.float64)
    else:
        weights = dawid_skene(codes, n_classes=len(classes)).probabilities
    weights[(codes < 0).all(axis=1)] = 0
    chosen = _largest(weights)
    return pd.Series(classes.take(chosen), dtype="string").mask(chosen < 0)


def vote_counts(codes: np.ndarray, *, n_classes: int) -> np.ndarray:
    """(N, K) how many readers gave each class.

    Args:
        codes: (N, R) votes, -1 where there is none.
        n_classes: K.
    """
    counts = np.zeros((len(codes), n_classes), dtype=np.int64)
    for votes in codes.T:
        rows = np.flatnonzero(votes >= 0)
        counts[rows, votes[rows]] += 1
    return counts


def share_of_readers(votes: pd.DataFrame, labels: pd.Series) -> np.ndarray:
    """(N,) share of those who looked at a scan that gave this label; NaN where nobody did, or there is no label."""
    given = votes.to_numpy(dtype=object, na_value=None)
    same = given == labels.to_numpy(dtype=object, na_value="")[:, None]
    looked = votes.notna().to_numpy().sum(axis=1)
    shares = same.sum(axis=1) / np.maximum(looked, 1)
    return np.where((looked > 0) & labels.notna().to_numpy(), shares, np.nan)


def check_votes(votes: pd.DataFrame, where: str) -> None:
    """Readers use the same words; one who shares none with the others, or a word of one alone, is named.

    Args:
        votes: (N, R) class names, NA where there is none.
        where: what to call the data in messages.

    Raises:
        UserError: a reader gave no label, or shares no word with the others.
    """
    words = {reader: set(column.dropna()) for reader, column in votes.items()}
    for reader, own in words.items():
        others = set().union(*(each for name, each in words.items() if name != reader))
        if not own:
            raise UserError(f"{where}: the column {reader!r} holds no label; leave it out of data.columns.label")
        if not own & others:
            raise UserError(
                f"{where}: {reader!r} and the other readers share no label ({_some(own)} against {_some(others)}); "
                "write them alike, or leave the column out of data.columns.label"
            )
        for word in sorted(own - others):
            if near := difflib.get_close_matches(word, others, n=1, cutoff=0.8):
                n = int((votes[reader] == word).sum())
                print(f"Note: {where}: {word!r} stands in {reader} alone ({n}x); is it {near[0]!r}?", file=sys.stderr)


def _largest(weights: np.ndarray) -> np.ndarray:
    """(N,) column of the largest weight of each row; -1 in a tie, and where all are zero."""
    most = weights.max(axis=1, keepdims=True)
    alone = (weights > most - _EQUAL).sum(axis=1) == 1
    return np.where(alone & (most[:, 0] > 0), weights.argmax(axis=1), -1)


def _some(words: set[str]) -> str:
    return ", ".join(sorted(words)[:3]) + (", …" if len(words) > 3 else "")
