"""The queue, and what the ledger says of each of its rows: who has read it, who still may, and what was found."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.campaign import Campaign

ELSEWHERE = ("imported", "propagated")  # answers that no showing asked for
_FIRST = ("rank", "control")  # showings of a scan for its own sake


class Showing(NamedTuple):
    """A row of the queue.

    Attributes:
        position: its place in the order of asking, from 1.
        sample_id: the scan.
        shown: why it is asked, as in `Answer`.
        label: as given; None: none.
        suggested: what the audit would say; None: nothing.
        p: probability that the label is wrong; None: unknown.
        cluster: near-duplicates share one; -1: none.
        neighbors: ids of the scans that are most like it.
    """

    position: int
    sample_id: str
    shown: str
    label: str | None
    suggested: str | None
    p: float | None
    cluster: int
    neighbors: tuple[str, ...]


class Book:
    """Rows are counted from 0, positions from 1.

    An answer does not say which row it belongs to: it is the first one that shows this scan for this reason and that
    this reader has not answered; where there is none, it takes the place of the reader's last answer. An answer from
    elsewhere (another program, a near-duplicate's) is about the scan for its own sake. What stands is so what
    `answers.standing` says: nobody takes back what another said, and what is taken back may arrive later.

    Args:
        campaign: what is asked.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.rows = showings(campaign.queue)
        self.readers = campaign.readers
        self.answers: list[dict[str, Answer]] = [{} for _ in self.rows]  # row -> reader -> what stands
        self.unread = dict.fromkeys(range(len(self.rows)))  # rows that lack an answer, in order
        self.found: set[int] = set()  # rows where a reader said another class than the given one
        self.standing: dict[str, dict[str, Answer]] = defaultdict(dict)  # reader -> id -> what was not taken back
        self._places: dict[str, int] = {}  # id of what stands -> row
        self._of_reader: dict[tuple[str, str], dict[str, Answer]] = defaultdict(dict)  # scan, reader -> as in standing
        self._undone: set[tuple[str, str]] = set()  # id of what was taken back, and by whom
        self._of_sample: dict[str, list[int]] = defaultdict(list)
        for row, showing in enumerate(self.rows):
            self._of_sample[showing.sample_id].append(row)
        self._expected = math.fsum(self._worth(row) for row in self.unread)

    def enter(self, answer: Answer) -> None:
        """Take in a line of the ledger."""
        reader = answer.annotator
        mine = self.standing[reader]
        if answer.undoes is not None:
            self._undone.add((answer.undoes, reader))
            undone = mine.pop(answer.undoes, None)
            if undone is None:
                return
            del self._of_reader[undone.sample_id, reader][undone.id]
            self._place(undone.sample_id, reader)
        elif (answer.id, reader) not in self._undone:
            mine[answer.id] = self._of_reader[answer.sample_id, reader][answer.id] = answer
            self._place(answer.sample_id, reader)

    def row_of(self, name: str) -> int | None:
        """The row that an answer which stands is about; None: about none, as of a scan that is not in the queue."""
        return self._places.get(name)

    def may(self, reader: str, row: int) -> bool:
        """Whether the row can be asked of this reader, others aside: not twice, and a repeat of their own only."""
        if reader in self.answers[row]:
            return False
        return self.rows[row].shown != "repeat" or reader in self._first_readers(row)

    def missing(self, row: int) -> int:
        """How many answers the row still lacks."""
        shown = self.rows[row].shown
        wanted = self.readers if shown in _FIRST else max(1, len(self._first_readers(row))) if shown == "repeat" else 1
        return max(0, wanted - len(self.answers[row]))

    def others(self, row: int) -> list[Answer]:
        """What readers said of the scan when it was asked for its own sake."""
        rows = [each for each in self._of_sample[self.rows[row].sample_id] if self.rows[each].shown in _FIRST]
        return [answer for each in rows for answer in self.answers[each].values()]

    def said_of(self, sample_id: str) -> str | None:
        """The class that was last said of a scan; None where no reader named one."""
        rows = self._of_sample.get(sample_id, ())
        said = [each.answer for row in rows for each in self.answers[row].values() if each.answer is not None]
        return said[-1] if said else None

    @property
    def expected(self) -> float | None:
        """Wrong labels that are expected among the scans nobody has read; None where no probability is known."""
        known = any(showing.p is not None for showing in self.rows[:1])
        return max(0.0, self._expected) if known else None

    def _place(self, sample_id: str, reader: str) -> None:
        """Deal what a reader said of a scan to its rows, in the order in which it was said."""
        rows = self._of_sample.get(sample_id, [])
        dealt: dict[int, Answer] = {}
        for answer in self._of_reader[sample_id, reader].values():
            if (row := self._row_of(answer, rows, dealt)) is not None:
                dealt.pop(row, None)  # so that the row comes last
                dealt[row] = answer
        for row in rows:
            before, now = self.answers[row].get(reader), dealt.get(row)
            if before is not now:
                if before is not None:
                    del self.answers[row][reader], self._places[before.id]
                if now is not None:
                    self.answers[row][reader] = now
        self._places |= {answer.id: row for row, answer in dealt.items()}
        for row in rows:
            self._settle(row)

    def _row_of(self, answer: Answer, rows: Sequence[int], dealt: Mapping[int, Answer]) -> int | None:
        """The row of `rows` for an answer where the reader has those that were `dealt`."""
        kinds = _FIRST if answer.shown in (*_FIRST, *ELSEWHERE) else (answer.shown,)
        fitting = [row for row in rows if self.rows[row].shown in kinds]
        fitting.sort(key=lambda row: self.rows[row].shown != answer.shown)
        free = [row for row in fitting if row not in dealt]
        # With no row left, the answer replaces the one before it, which lies where the last one was dealt.
        return free[0] if free else next((row for row in reversed(list(dealt)) if row in fitting), None)

    def _first_readers(self, row: int) -> set[str]:
        return {answer.annotator for answer in self.others(row)}

    def _settle(self, row: int) -> None:
        lacking, answers, showing = self.missing(row) > 0, self.answers[row].values(), self.rows[row]
        if lacking != (row in self.unread):
            self._expected += self._worth(row) if lacking else -self._worth(row)
            if lacking:
                self.unread = dict.fromkeys(sorted([*self.unread, row]))
            else:
                del self.unread[row]
        wrong = any(each.answer is not None and each.answer != showing.label for each in answers)
        (self.found.add if wrong and showing.shown in _FIRST else self.found.discard)(row)

    def _worth(self, row: int) -> float:
        showing = self.rows[row]
        return showing.p or 0.0 if showing.shown in _FIRST else 0.0


def showings(queue: pd.DataFrame) -> list[Showing]:
    """The rows of a campaign's queue, missing values None."""
    texts = {name: _or_none(pd.Series(queue[name])) for name in ("label", "suggested_label", "p_mislabeled")}
    columns = zip(
        queue["position"].tolist(), queue["sample_id"].tolist(), queue["shown"].tolist(), texts["label"],
        texts["suggested_label"], texts["p_mislabeled"], queue["cluster"].tolist(), map(tuple, queue["neighbors"]),
        strict=True,
    )  # fmt: skip
    return [Showing(*each) for each in columns]


def _or_none(column: pd.Series) -> list:
    return [None if pd.isna(each) else each for each in column]
