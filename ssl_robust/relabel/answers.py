"""The lines of a ledger -> what each reader stands by, and one row for each scan that somebody looked at."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.consensus import settle

FILE = "answers.csv"
COLUMN = "answer_"  # before a reader's name
_APART = ("repeat", "adjudication")  # asked for a reason of their own, so that they replace no first answer


def standing(answers: Sequence[Answer]) -> list[Answer]:
    """What the readers stand by, in the order in which they first said something of a scan.

    What was taken back is gone; where a reader answered anew, the latest counts. An answer to a repeat is kept beside
    the first one, and so is an adjudication. A line that takes something back is never taken back itself, and may
    come before what it takes back: pages send again what did not arrive.

    Args:
        answers: of a ledger, in its order.
    """
    undone = {(each.undoes, each.annotator) for each in answers if each.undoes is not None}
    latest: dict[tuple[str, str, str], Answer] = {}
    for each in answers:
        if each.undoes is None and (each.id, each.annotator) not in undone:
            kind = each.shown if each.shown in _APART else ""
            latest[each.sample_id, each.annotator, kind] = each
    return list(latest.values())


def of_kind(answers: Sequence[Answer], kind: str | None) -> list[Answer]:
    """Those of `standing` that are repeats, or adjudications, or (None) neither."""
    return [each for each in answers if (each.shown if each.shown in _APART else None) == kind]


def votes_of(answers: Sequence[Answer]) -> pd.DataFrame:
    """(N, R) class names as readers gave them first; the index is `sample_id`, NA where one was unsure or not asked.

    Args:
        answers: of `standing`.
    """
    first = of_kind(answers, None)
    readers = sorted({each.annotator for each in first})
    rows = {name: number for number, name in enumerate(dict.fromkeys(each.sample_id for each in answers))}
    cells: dict[str, list[str | None]] = {reader: [None] * len(rows) for reader in readers}
    for each in first:
        cells[each.annotator][rows[each.sample_id]] = each.answer
    columns = {reader: pd.array(values, dtype="string") for reader, values in cells.items()}
    return pd.DataFrame(columns, index=pd.Index(list(rows), dtype=object, name="sample_id"))


def table(answers: Sequence[Answer], *, rule: str) -> pd.DataFrame:
    """One row for each scan that somebody looked at.

    Args:
        answers: of `standing`.
        rule: how one label is made of those of several readers, see `consensus.settle`.

    Returns:
        `sample_id`, `given`, `answer_<reader>` for each reader (NA where unsure or not asked), `consensus` (NA where
        nobody was sure, or readers tie), `n_readers` who looked, `read_by` (their names), `read_at` (the latest time)
        and `unsettled`: readers differ and nobody has adjudicated.
    """
    votes, looked = votes_of(answers), _looked(answers)
    deciding = {each.sample_id: each.answer for each in of_kind(answers, "adjudication")}
    label, unsettled = settle(votes, deciding, rule=rule)
    given = {each.sample_id: each.given for each in answers}
    ids = votes.index.tolist()
    return pd.DataFrame(
        {
            "sample_id": pd.array(ids, dtype="string"),
            "given": pd.array([given[name] for name in ids], dtype="string"),
            **{f"{COLUMN}{reader}": column.array for reader, column in votes.items()},
            "consensus": label.array,
            "n_readers": [len({each.annotator for each in looked[name]}) for name in ids],
            "read_by": pd.array([_names(looked[name]) for name in ids], dtype="string"),
            "read_at": pd.array([max(each.time for each in looked[name]) for name in ids], dtype="string"),
            "unsettled": unsettled,
        }
    )


def _looked(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    looked: dict[str, list[Answer]] = {}
    for each in answers:
        looked.setdefault(each.sample_id, []).append(each)
    return looked


def _names(answers: Sequence[Answer]) -> str:
    return ", ".join(sorted({each.annotator for each in answers}))
