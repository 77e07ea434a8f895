"""Who is asked what, with a clock that is turned by hand."""

import threading
from dataclasses import replace
from uuid import uuid4

import pandas as pd
import pytest
from review_campaigns import CLASSES, lines

from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.answers import standing
from ssl_robust.relabel.campaign import add_round, read_campaign, start_campaign
from ssl_robust.relabel.review.desk import Desk, Refused, Said
from ssl_robust.run import Run

IDS = [f"s{i}" for i in range(12)]


def queue(n=6, shown=None, ids=None):
    ids = ids or IDS[:n]
    return pd.DataFrame(
        {
            "sample_id": ids, "shown": shown or ["rank"] * len(ids), "label": "benign", "suggested_label": "normal",
            "p_mislabeled": 0.5, "expected_gain": 0.5, "cluster": -1, "neighbors": [[] for _ in ids],
        }
    )  # fmt: skip


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def begin(tmp_path):
    """A queue -> its campaign."""

    def make(rows=None, **options):
        with Run(tmp_path / "c", stage="relabel", config={"seed": 0}):
            given = {"audit": tmp_path, "data": None, "classes": CLASSES, "control": IDS, "blind": False, "readers": 1}
            return start_campaign(tmp_path / "c", queue() if rows is None else rows, seed=0, **{**given, **options})

    return make


def sit(campaign, **options):
    return Desk(campaign, **{"blind": False, "loan": 60.0, "clock": Clock(), **options})


def said(reader, position, answer="normal", **more):
    return Said(id=more.pop("id", str(uuid4())), reader=reader, position=position, answer=answer, seconds=1.0, **more)


def test_scans_come_in_order_and_nobody_gets_what_another_one_has(begin):
    desk = sit(begin())
    assert desk.claim("ada", [], 2) == ([0, 1], [])
    assert desk.claim("bob", [], 2) == ([2, 3], [])
    assert desk.claim("ada", [1, 2], 3) == ([4], [])
    assert desk.claim("eve", [], 9) == ([5], [])


def test_a_page_that_was_loaded_again_gets_the_same_scans(begin):
    desk = sit(begin())
    desk.claim("ada", [], 3)
    assert desk.answer(said("ada", 1)) == "saved"
    assert desk.claim("ada", [], 3) == ([1, 2, 3], [])


def test_what_a_reader_has_left_goes_to_another_one_after_a_while(begin):
    desk = sit(begin())
    desk.claim("ada", [], 2)
    desk._clock.now += 59
    desk.claim("ada", [1, 2], 2)  # ada still looks at them
    desk._clock.now += 59
    assert desk.claim("bob", [], 1) == ([2], [])
    desk._clock.now += 2
    assert desk.claim("bob", [3], 2) == ([0], [])
    assert desk.claim("ada", [1, 2], 2) == ([3], [0])  # the first one is bob's now


def test_a_reading_that_took_too_long_is_kept_all_the_same(begin):
    campaign = begin()
    desk = sit(campaign)
    desk.claim("ada", [], 1)
    desk._clock.now += 61
    desk.claim("bob", [], 1)
    assert desk.answer(said("bob", 1)) == "saved"
    assert desk.answer(said("ada", 1)) == "saved"
    assert [each["annotator"] for each in lines(campaign)] == ["bob", "ada"]


def test_an_answer_that_arrives_twice_counts_once(begin):
    campaign = begin()
    desk = sit(campaign)
    first = said("ada", 1)
    assert [desk.answer(first), desk.answer(first)] == ["saved", "known"]
    assert desk.answer(said("ada", 1, "malignant")) == "answered"  # another window of the same reader
    (line,) = lines(campaign)
    assert (line["sample_id"], line["given"], line["answer"], line["shown"]) == ("s0", "benign", "normal", "rank")
    assert line["time"].startswith("1970-01-12T13:46:40")


def test_what_is_taken_back_is_asked_again(begin):
    campaign = begin()
    desk = sit(campaign)
    first = said("ada", 1)
    desk.answer(first)
    assert desk.answer(said("ada", 1, None, undoes="never said")) == "nothing to undo"
    assert desk.answer(said("bob", 1, None, undoes=first.id)) == "nothing to undo"
    undo = said("ada", 1, None, undoes=first.id)
    assert [desk.answer(undo), desk.answer(undo)] == ["saved", "known"]
    assert desk.claim("bob", [], 1) == ([1], [])  # the first one is lent to ada again
    assert desk.claim("ada", [], 1) == ([0], [])
    assert desk.answer(said("ada", 1, "malignant")) == "saved"
    assert [(each["answer"], each["undoes"]) for each in lines(campaign)] == [
        ("normal", None), (None, first.id), ("malignant", None),
    ]  # fmt: skip
    assert [row for _, row in desk.last("ada", 5)] == [0]


def test_nothing_is_forgotten_by_a_server_that_was_killed(begin):
    campaign = begin()
    desk = sit(campaign)
    desk.claim("ada", [], 2)
    desk.claim("bob", [], 2)
    desk.answer(said("ada", 1))
    desk.skip("bob", 3)
    again = sit(campaign)
    assert again.claim("ada", [2], 2) == ([2], [])  # what bob skipped, not what bob has
    assert again.claim("bob", [], 2) == ([3, 4], [])
    assert again.progress("bob")["done"] == 1


def test_what_was_skipped_comes_at_the_end_or_to_another_one(begin):
    desk = sit(begin(queue(3)))
    desk.claim("ada", [], 3)
    desk.skip("ada", 1)
    assert desk.claim("bob", [], 1) == ([0], [])
    desk.skip("bob", 1)
    desk.answer(said("ada", 2))
    desk.answer(said("ada", 3))
    assert desk.claim("ada", [], 3) == ([], [])
    assert desk.progress("ada")["skipped"] == 1
    desk.take_up_skipped("ada")
    assert desk.claim("ada", [], 3) == ([0], [])


def test_two_readers_are_two_different_ones(begin):
    desk = sit(begin(queue(1), readers=2))
    assert desk.claim("ada", [], 5)[0] == [0]
    assert desk.claim("bob", [], 5)[0] == [0]
    assert desk.claim("eve", [], 5)[0] == []
    desk.answer(said("ada", 1))
    assert desk.claim("ada", [], 5)[0] == []
    assert desk.progress("ada")["done"] == 0
    desk.answer(said("bob", 1, None))  # unsure is an answer
    assert desk.progress("ada")["done"] == 1


def test_a_repeat_goes_to_who_has_read_the_scan(begin):
    desk = sit(begin(queue(ids=["s0", "s1", "s0"], shown=["rank", "control", "repeat"])))
    assert desk.claim("ada", [], 9)[0] == [0, 1]
    desk.answer(said("ada", 1))
    assert desk.claim("bob", [], 9)[0] == []
    assert desk.claim("ada", [2], 9)[0] == [2]
    desk.answer(said("ada", 3, "benign"))
    assert desk.progress("ada") == {
        "shown": 3, "done": 2, "skipped": 0, "mine": 2, "elsewhere": 0, "found": 1, "expected": 0.5,
    }  # fmt: skip


def test_an_adjudication_needs_one_answer_and_names_those_that_differ(begin):
    rows = queue(ids=["s0", "s0"], shown=["rank", "adjudication"])
    desk = sit(begin(rows, readers=2))
    for reader, answer in (("ada", "benign"), ("bob", "normal")):
        desk.answer(said(reader, 1, answer))
    assert [each.answer for each in desk.book.others(1)] == ["benign", "normal"]
    assert desk.claim("eve", [], 1)[0] == [1]
    desk.answer(said("eve", 2, "normal"))
    assert desk.progress("eve")["done"] == 2


def test_answers_of_another_program_need_not_be_given_again(begin):
    campaign = begin()
    desk = sit(campaign)
    desk.claim("ada", [], 1)
    imported = Answer("x", "s1", "benign", "normal", "ada", "2026-01-01", 0.0, "imported", False, "0")
    campaign.ledger().append(imported)
    campaign.ledger().append(replace(imported, id="y", sample_id="s9"))  # which is not in the queue
    assert desk.claim("ada", [1, 2], 3)[0] == [2, 3]
    assert desk.progress("ada")["done"] == 1
    assert desk.last("ada", 5) == []
    assert desk.label_of("s1") == "normal"


def test_a_near_duplicate_gets_the_answer_when_the_reader_says_so(begin):
    campaign = begin()
    desk = sit(campaign, copies={"s0": ["s9", "s1"]}, labels={"s9": "malignant"})
    desk.answer(said("ada", 1))
    assert desk.answer(said("ada", 1, copy=0)) == "saved"
    assert desk.answer(said("ada", 1, copy=0)) == "answered"
    second = said("ada", 1, copy=1)
    desk.answer(second)
    assert [(each["sample_id"], each["given"], each["shown"]) for each in lines(campaign)] == [
        ("s0", "benign", "rank"), ("s9", "malignant", "propagated"), ("s1", None, "propagated"),
    ]  # fmt: skip
    assert desk.claim("ada", [], 1)[0] == [2]  # the second row is read through its twin
    assert desk.answer(said("ada", 1, None, undoes=second.id)) == "saved"
    assert desk.claim("ada", [3], 2)[0] == [1]
    for none in (2, -1):
        with pytest.raises(Refused, match="no near-duplicate"):
            desk.answer(said("ada", 1, copy=none))


def test_an_undo_takes_the_near_duplicates_back_too_even_after_a_reload(begin):
    campaign = begin()
    options = {"copies": {"s0": ["s9", "s1"]}}
    desk = sit(campaign, **options)
    desk.answer(said("bob", 1, id="first/9"))
    desk.answer(said("ada", 1, id="first"))
    desk.answer(said("ada", 2, id="firs/t"))
    for copy in (0, 1):
        desk.answer(said("ada", 1, id=f"first/{copy}", copy=copy))
    again = sit(campaign, **options)
    assert [name for name, _ in again.last("ada", 5)] == ["first", "firs/t"]
    undo = said("ada", 1, None, id="back", undoes="first")
    assert [again.answer(undo), again.answer(undo)] == ["saved", "known"]
    assert [(each["id"], each["undoes"], each["sample_id"], each["shown"]) for each in lines(campaign)[4:]] == [
        ("back/0", "first/0", "s9", "propagated"), ("back", "first", "s0", "rank"),
    ]  # fmt: skip
    assert [each.id for each in standing(campaign.ledger().read())] == ["first/9", "firs/t"]


def test_an_undo_that_a_crash_cut_short_is_completed(begin):
    campaign = begin()
    desk = sit(campaign, copies={"s0": ["s8", "s9"]})
    desk.answer(said("ada", 1, id="first"))
    for copy in (0, 1):
        desk.answer(said("ada", 1, id=f"first/{copy}", copy=copy))
    desk.answer(said("ada", 1, None, id="back", undoes="first"))
    ledger = campaign.place / "ledger.jsonl"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:4]))  # the first of three lines is left
    again = sit(campaign, copies={"s0": ["s8", "s9"]})
    assert again.answer(said("ada", 1, None, id="back", undoes="first")) == "saved"
    assert standing(campaign.ledger().read()) == []


def test_a_round_that_is_added_meanwhile_is_asked(begin):
    campaign = begin(queue(1))
    desk = sit(campaign)
    desk.answer(said("ada", 1))
    assert desk.claim("ada", [], 5)[0] == []
    add_round(campaign, queue(ids=["s7", "s8"]))
    assert desk.claim("ada", [], 5)[0] == [1, 2]
    assert desk.progress("ada")["shown"] == 3


def test_a_round_is_seen_however_its_two_files_come(begin):
    campaign = begin(queue(1))
    about = (campaign.place / "campaign.json").read_bytes()
    desk = sit(campaign)
    add_round(campaign, queue(ids=["s7"]))
    later = (campaign.place / "campaign.json").read_bytes()
    (campaign.place / "campaign.json").write_bytes(about)  # the queue is written, and the round not yet noted
    assert desk.claim("ada", [], 5)[0] == [0]
    (campaign.place / "campaign.json").write_bytes(later)
    assert desk.claim("ada", [1], 5)[0] == [1]
    add_round(read_campaign(campaign.place), queue(ids=["s8"]))
    assert sit(campaign).claim("bob", [], 5)[0] == [2], "it was there before the desk, and after the campaign was read"


def test_a_round_that_comes_while_another_is_read_is_asked(begin, monkeypatch):
    campaign = begin(queue(1))
    desk = sit(campaign)
    second = add_round(campaign, queue(ids=["s7"]))

    def slowly(place):
        add_round(second, queue(ids=["s8"]))
        return second

    monkeypatch.setattr("ssl_robust.relabel.review.desk.read_campaign", slowly)
    assert desk.claim("ada", [], 5)[0] == [0, 1]
    monkeypatch.undo()
    assert desk.claim("ada", [1, 2], 5)[0] == [2]


def test_nothing_is_told_that_would_betray_a_hidden_label(begin):
    told = sit(begin(), blind=True).progress("ada")
    assert told.keys() == {"shown", "done", "skipped", "mine", "elsewhere"}


@pytest.mark.parametrize("wrong", [{"position": 0}, {"position": 7}, {"answer": "no class"}])
def test_what_cannot_be_an_answer_is_refused(begin, wrong):
    with pytest.raises(Refused, match="no class|no position"):
        sit(begin()).answer(replace(said("ada", 1), **wrong))


@pytest.mark.parametrize("look", [lambda desk: desk.label_of("s0"), lambda desk: desk.others(0)])
def test_nobody_looks_into_the_book_while_it_is_written(begin, look):
    desk = sit(begin())
    reader = threading.Thread(target=look, args=[desk])
    with desk._alone:
        reader.start()
        reader.join(0.1)
        assert reader.is_alive()
    reader.join(10)
    assert not reader.is_alive()


def test_many_readers_at_once_lose_and_double_nothing(begin):
    ids = [f"s{i}" for i in range(60)]
    campaign = begin(queue(ids=ids), control=ids)
    desk = sit(campaign)

    def read(name):
        while rows := desk.claim(name, [], 3)[0]:
            for row in rows:
                desk.answer(said(name, row + 1))

    readers = [threading.Thread(target=read, args=[f"reader {i}"]) for i in range(4)]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    assert sorted(each["sample_id"] for each in lines(campaign)) == sorted(ids)
