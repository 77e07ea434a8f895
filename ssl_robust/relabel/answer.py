"""One answer of one reader about one scan: what every file and every page of relabelling speaks of."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

LONGEST_NAME = 80  # characters of a reader's name
SHOWN = ("rank", "control", "repeat", "adjudication", "propagated", "imported")


@dataclass(frozen=True)
class Answer:
    """A line of the ledger.

    Attributes:
        id: made by who asks, before the answer is sent, so that an answer that arrives twice counts once.
        sample_id: the scan.
        given: its label before anybody was asked; None: it had none.
        answer: name of a class; None: the reader was unsure.
        annotator: the reader, as `reader_name` writes it.
        time: when, UTC, ISO 8601.
        seconds: from showing the scan to the answer.
        shown: why it was asked, one of `SHOWN`: a sampler chose it, the random control sample did, it came again to see
            whether the reader agrees with themselves, readers differed, a near-duplicate was answered and the reader
            agreed to take that over, or it comes from another program.
        blind: whether the given label and the suggestion were hidden.
        version: of ssl_robust.
        undoes: id of the answer of the same reader that this one takes back; `answer` is None then. None: it takes
            nothing back.
    """

    id: str
    sample_id: str
    given: str | None
    answer: str | None
    annotator: str
    time: str
    seconds: float
    shown: str
    blind: bool
    version: str
    undoes: str | None = None


def reader_name(name: str) -> str:
    """A reader's name, written in one way: keyboards and programs differ in how they compose an "ö" (NFC or NFD).

    Raises:
        ValueError: it is empty or very long, or cannot be printed.
    """
    name = unicodedata.normalize("NFC", name.strip())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(f"{name!r} is no name; expected 1 to {LONGEST_NAME} characters that can be printed")
    return name
