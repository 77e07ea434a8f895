"""The queue, and what the ledger says of each of its rows: who has read it, who still may, and what was found."""

from __future__ import annotations

import math
from collections import defaultdict
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
    this reader has not answered. An answer from elsewhere (another program, a near-duplicate's) counts for the first
    row of its scan.

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
        self._of_sample: dict[str, list[int]] = defaultdict(list)
        for row, showing in enumerate(self.rows):
            self._of_sample[showing.sample_id].append(row)
        self._expected = math.fsum(self._worth(row) for row in self.unread)

    def enter(self, answer: Answer) -> None:
        """Take in a line of the ledger."""
        mine = self.standing[answer.annotator]
        row = None
        if answer.undoes is not None:
            mine.pop(answer.undoes, None)
            row = self._places.pop(answer.undoes, None)
            if row is not None:
                del self.answers[row][answer.annotator]
        else:
            mine[answer.id] = answer
            row = self._row_of(answer)
            if row is not None:
                self.answers[row][answer.annotator] = answer
                self._places[answer.id] = row
        if row is not None:
            for each in self._of_sample[answer.sample_id]:
                self._settle(each)

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

    def _row_of(self, answer: Answer) -> int | None:
        elsewhere = answer.shown in ELSEWHERE
        for row in self._of_sample.get(answer.sample_id, ()):
            shown = self.rows[row].shown
            fits = shown != "repeat" if elsewhere else shown == answer.shown
            if fits and answer.annotator not in self.answers[row]:
                return row
        return None

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
