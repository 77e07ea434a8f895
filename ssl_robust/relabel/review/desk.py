"""Who is asked what: no scan lies before two readers at once, and what was answered is neither lost nor doubled.

A scan that was handed out is lent for some time, so that a reader who has left does not keep it. The loans are on
disk: a server that was killed goes on where it was, with all readers' pages still open.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ssl_robust.files import read_json, write_json
from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.campaign import ABOUT, Campaign, read_campaign
from ssl_robust.relabel.review.book import ELSEWHERE, Book

LOANS = "loans.json"
_LONGEST = 24 * 3600.0  # seconds that an answer can have taken


@dataclass(frozen=True)
class Said:
    """What a page sends when a reader has answered.

    Attributes:
        id: made by the page; the same for each time that it is sent. That of an answer for a near-duplicate begins
            with the id of the scan's own answer and a slash: who takes the one back takes back the other.
        reader: who answered.
        position: of the showing.
        answer: name of a class; None: unsure.
        seconds: from showing the scan to the answer.
        undoes: id of the answer that is taken back; None: none.
        copy: which near-duplicate of the scan it is about, as the reader agreed; None: the scan itself.
    """

    id: str
    reader: str
    position: int
    answer: str | None
    seconds: float
    undoes: str | None = None
    copy: int | None = None


class Refused(ValueError):
    """What was sent can be no answer, however often it is sent."""


class Desk:
    """All methods may be called by several threads.

    Args:
        campaign: what is asked.
        blind: whether readers see the given label and the suggestion.
        loan: seconds after which a scan that was handed out may go to another reader.
        labels: of all scans, before anybody was asked.
        copies: near-duplicates of the scans that have such.
        clock: seconds since the epoch.
    """

    def __init__(
        self, campaign: Campaign, *, blind: bool, loan: float, labels: Mapping[str, str | None] | None = None,
        copies: Mapping[str, Sequence[str]] | None = None, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.campaign, self.blind = campaign, blind
        self._labels, self._copies = labels or {}, copies or {}
        self._loan, self._clock, self._alone = loan, clock, threading.RLock()
        self._ledger = campaign.ledger()
        self._loans: dict[int, dict[str, float]] = defaultdict(dict)  # row -> reader -> when it ends
        self._skipped: dict[str, list[int]] = defaultdict(list)
        self._as_read: tuple[int, int] | None = (
            None  # of campaign.json: a round may have come since `campaign` was read
        )
        self._look_again()
        self._recall_loans()

    def claim(self, reader: str, held: Sequence[int], n: int) -> tuple[list[int], list[int]]:
        """Hand out scans.

        Args:
            reader: who asks.
            held: positions that their page has already; these are lent to them for longer.
            n: how many scans the page wants to have in all.

        Returns:
            Rows for the page, in the order of asking, and those of `held` that it shall forget.
        """
        with self._alone:
            self._look_again()
            now = self._clock()
            have = [position - 1 for position in held if 0 < position <= len(self.book.rows)]
            gone = [row for row in have if not self._open_to(reader, row, now)]
            mine = [
                row for row in sorted(self._loans) if reader in self._loans[row] and self._open_to(reader, row, now)
            ]
            given = [row for row in mine if row not in have]
            kept = [row for row in have if row not in gone]
            for row in self.book.unread:
                if len(given) + len(kept) >= n:
                    break
                if row not in kept and row not in given and self._free(reader, row, now):
                    given.append(row)
            for row in [*kept, *given]:
                self._loans[row][reader] = now + self._loan
            self._note_loans(now)
            return given, gone

    def answer(self, said: Said) -> str:
        """Write an answer into the ledger; it is on the disk when this returns.

        Returns:
            "saved", "known" (this very answer is there already), or why it was not written: "answered" (the reader
            has answered this showing before), "nothing to undo".

        Raises:
            Refused: there is no such position, class or near-duplicate.
        """
        with self._alone:
            self._look_again()
            if said.id in self._ledger:
                return "known"
            row = self._row(said.position)
            if said.answer is not None and said.answer not in self.campaign.classes:
                raise Refused(f"{said.answer!r} is no class of this campaign")
            about = self._about(said, row)
            if isinstance(about, str):
                return about
            self._ledger.extend([*self._copies_taken_back(about), about])
            self._look_again()
            if said.undoes is None:
                self._loans[row].pop(said.reader, None)
            elif said.reader not in self.book.answers[row]:
                self._loans[row][said.reader] = self._clock() + self._loan
            return "saved"

    def skip(self, reader: str, position: int) -> None:
        """Put a scan aside for a reader until all others are read; meanwhile another reader may take it."""
        with self._alone:
            row = self._row(position)
            self._loans[row].pop(reader, None)
            if row not in self._skipped[reader]:
                self._skipped[reader].append(row)
            self._note_loans(self._clock())

    def take_up_skipped(self, reader: str) -> None:
        """Offer again what the reader has put aside."""
        with self._alone:
            self._skipped.pop(reader, None)

    def last(self, reader: str, n: int) -> list[tuple[str, int]]:
        """The reader's newest answers that stand, oldest first: id and row; those given on this page alone."""
        with self._alone:
            self._look_again()
            own = [each.id for each in self.book.standing[reader].values() if each.shown not in ELSEWHERE]
            places = [(name, self.book.row_of(name)) for name in own]
            return [(name, row) for name, row in places if row is not None][-n:]

    def copies_of(self, sample_id: str) -> Sequence[str]:
        """Near-duplicates of a scan, which are asked once."""
        return self._copies.get(sample_id, ())

    def label_of(self, sample_id: str) -> str | None:
        """What is said of a scan now: by the last reader who named a class, else by its label."""
        with self._alone:
            return self.book.said_of(sample_id) or self._labels.get(sample_id)

    def others(self, row: int) -> list[Answer]:
        """What readers said of the scan of a row when it was asked for its own sake."""
        with self._alone:
            return self.book.others(row)

    def progress(self, reader: str) -> dict[str, Any]:
        """How far all readers are and what they found; what would betray a label is left out where it is hidden."""
        with self._alone:
            now, book = self._clock(), self.book
            skipped = sum(book.may(reader, row) and row in book.unread for row in self._skipped[reader])
            elsewhere = sum(bool(readers.keys() - {reader}) and self._lent(row, reader, now) for row, readers in
                            self._loans.items() if row in book.unread and book.may(reader, row))  # fmt: skip
            numbers = {"shown": len(book.rows), "done": len(book.rows) - len(book.unread), "skipped": skipped,
                       "mine": len(book.standing[reader]), "elsewhere": elsewhere}  # fmt: skip
            return numbers if self.blind else {**numbers, "found": len(book.found), "expected": book.expected}

    def _about(self, said: Said, row: int) -> Answer | str:
        """The line for the ledger, or why there is none."""
        showing, mine = self.book.rows[row], self.book.standing[said.reader]
        sample_id, given, shown = showing.sample_id, showing.label, showing.shown
        if said.undoes is not None:
            if (undone := mine.get(said.undoes)) is None:
                return "nothing to undo"
            sample_id, given, shown = undone.sample_id, undone.given, undone.shown
        elif said.copy is not None:
            copies = self.copies_of(sample_id)
            if not 0 <= said.copy < len(copies):
                raise Refused(f"there is no near-duplicate {said.copy} among {len(copies)}")
            sample_id, shown = copies[said.copy], "propagated"
            given = self._labels.get(sample_id)
            if any(each.sample_id == sample_id for each in mine.values()):
                return "answered"
        elif said.reader in self.book.answers[row]:
            return "answered"
        return Answer(
            id=said.id, sample_id=sample_id, given=given, answer=said.answer, annotator=said.reader,
            time=datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds"),
            seconds=round(min(max(said.seconds, 0.0), _LONGEST), 2), shown=shown, blind=self.blind,
            version=version("ssl-robust"), undoes=said.undoes,
        )  # fmt: skip

    def _copies_taken_back(self, undo: Answer) -> list[Answer]:
        """What goes with an answer that is taken back: the same answer for near-duplicates, `<its id>/<which one>`.

        The lines' ids follow from which one, so that what a crash cut short is completed when the page sends again.
        """
        mine, origin = self.book.standing[undo.annotator], f"{undo.undoes}/"
        copies = [] if undo.undoes is None else [each for name, each in mine.items() if name.startswith(origin)]
        return [
            replace(undo, id=f"{undo.id}/{each.id.removeprefix(origin)}", undoes=each.id, sample_id=each.sample_id,
                    given=each.given, shown=each.shown) for each in copies
        ]  # fmt: skip

    def _row(self, position: int) -> int:
        if not 0 < position <= len(self.book.rows):
            raise Refused(f"there is no position {position} among {len(self.book.rows)}")
        return position - 1

    def _open_to(self, reader: str, row: int, now: float) -> bool:
        """Whether the reader may still answer it: it lacks an answer that nobody else is about to give."""
        lent = self._lent(row, reader, now)
        return row in self.book.unread and self.book.may(reader, row) and lent < self.book.missing(row)

    def _free(self, reader: str, row: int, now: float) -> bool:
        return row not in self._skipped[reader] and self._open_to(reader, row, now)

    def _lent(self, row: int, reader: str, now: float) -> int:
        """How many others have it before them."""
        return sum(end > now for other, end in self._loans.get(row, {}).items() if other != reader)

    def _look_again(self) -> None:
        """Take in what was added since the last look: a round of the queue, answers of other programs."""
        about = (self.campaign.place / ABOUT).stat()  # written last, and looked at before it is read: none is missed
        if (state := (about.st_mtime_ns, about.st_size)) != self._as_read:
            self.campaign = read_campaign(self.campaign.place)
            self.book, self._entered, self._as_read = Book(self.campaign), 0, state
        answers = self._ledger.read()
        for answer in answers[self._entered :]:
            self.book.enter(answer)
        self._entered = len(answers)

    def _note_loans(self, now: float) -> None:
        self._loans = defaultdict(dict, {
            row: running for row, readers in self._loans.items()
            if row in self.book.unread and (running := {who: end for who, end in readers.items() if end > now})
        })  # fmt: skip
        skipped = {reader: rows for reader, rows in self._skipped.items() if rows}
        write_json(self.campaign.place / LOANS, {"loans": self._loans, "skipped": skipped})

    def _recall_loans(self) -> None:
        if not (self.campaign.place / LOANS).is_file():
            return
        noted = read_json(self.campaign.place / LOANS)
        for row, readers in noted["loans"].items():
            self._loans[int(row)] = dict(readers)
        for reader, rows in noted["skipped"].items():
            self._skipped[reader] = list(rows)
