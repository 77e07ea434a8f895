"""Answers for tests: short to write, and each with an id of its own."""

import itertools

from ssl_robust.relabel.answer import Answer

_numbers = itertools.count()


def said(sample_id, answer, by="Ann", *, shown="rank", given="benign", undoes=None, minute=None):
    number = next(_numbers)
    time = f"2026-01-01T10:{(number if minute is None else minute) % 60:02d}:00+00:00"
    return Answer(f"id-{number}", sample_id, given, answer, by, time, 2.0, shown, False, "1.0", undoes)


def undone(answer, by=None):
    return said(answer.sample_id, None, by or answer.annotator, undoes=answer.id)
