"""What the page holds for answered, against what everything else reads in the same ledger."""

from pathlib import Path

import pandas as pd
import pytest
from answering import said, undone
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_robust.relabel.answers import standing
from ssl_robust.relabel.campaign import Campaign
from ssl_robust.relabel.review.book import Book

ASKED = [("a", "rank"), ("b", "control"), ("a", "repeat"), ("b", "adjudication")]
KINDS = ("rank", "control", "repeat", "adjudication", "propagated", "imported")
CLASSES = ("benign", "malignant", None)


def book(answers, asked=ASKED):
    names, shown = zip(*asked, strict=True)
    queue = pd.DataFrame(
        {
            "position": range(1, len(asked) + 1), "sample_id": names, "shown": shown, "label": "benign",
            "suggested_label": "malignant", "p_mislabeled": 0.5, "cluster": -1, "neighbors": [[] for _ in asked],
        }
    )  # fmt: skip
    made = Book(Campaign(Path(), "", None, ("benign", "malignant"), 3, False, 1, 0, (), queue, ("a", "b", "c")))
    for each in answers:
        made.enter(each)
    return made


def kind(shown):
    return shown if shown in ("repeat", "adjudication") else "first"


@st.composite
def ledgers(draw):
    """Answers and what takes them back, by the same reader or another one, in any order."""
    answer = st.builds(said, st.sampled_from("abc"), st.sampled_from(CLASSES), st.sampled_from(["Ann", "Ben"]),
                       shown=st.sampled_from(KINDS))  # fmt: skip
    answers = draw(st.lists(answer, max_size=10))
    backs = draw(st.lists(st.builds(undone, st.sampled_from(answers), st.sampled_from(["Ann", "Ben"])), max_size=5)
                 if answers else st.just([]))  # fmt: skip
    return draw(st.permutations([*answers, *backs]))


@settings(deadline=None, max_examples=300)
@given(ledgers())
def test_the_page_and_all_others_read_the_same_answers(ledger):
    found = book(ledger)
    asked = {(name, kind(shown)) for name, shown in ASKED}
    expected = {each.id for each in standing(ledger) if (each.sample_id, kind(each.shown)) in asked}
    assert {each.id for row in found.answers for each in row.values()} == expected
    rows = {(name, reader): row for reader, mine in found.standing.items() for name in mine
            if (row := found.row_of(name)) is not None}  # fmt: skip
    assert {name for name, _ in rows} == expected
    assert all(found.answers[row][reader].id == name for (name, reader), row in rows.items())
    for row, (name, shown) in enumerate(ASKED):
        assert all(each.sample_id == name and kind(each.shown) == kind(shown) for each in found.answers[row].values())
        assert (row in found.unread) == (found.missing(row) > 0)


@pytest.mark.parametrize("shown", ["imported", "propagated"])
def test_an_answer_from_elsewhere_decides_nothing_between_readers(shown):
    first, other = said("b", "benign", shown="control"), said("b", "malignant", shown=shown)
    found = book([first, other])
    assert [list(row.values()) for row in found.answers] == [[], [other], [], []]
    found.enter(undone(other))
    assert found.answers[1] == {"Ann": first}, "what was said before stands again"


def test_each_repeat_is_answered_for_itself():
    asked = [("a", "rank"), ("a", "repeat"), ("a", "repeat")]
    answers = [said("a", "benign"), *(said("a", each, shown="repeat") for each in ("benign", "malignant"))]
    assert [row["Ann"] for row in book(answers, asked).answers] == answers
    assert not book(answers, asked).unread
