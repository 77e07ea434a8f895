import pandas as pd
from answering import said, undone

from ssl_robust.relabel.answers import standing, table, votes_of


def rows(answers, rule="majority"):
    return table(standing(answers), rule=rule).set_index("sample_id")


def texts(column):
    return [None if pd.isna(each) else each for each in column]


def test_the_latest_answer_of_a_reader_counts():
    first, other, again = said("a", "benign"), said("a", "malignant", by="Ben"), said("a", "normal")
    assert standing([first, other, again]) == [again, other]


def test_what_was_taken_back_is_gone_and_the_one_before_it_is_not():
    first, second = said("a", "benign"), said("a", "malignant")
    assert standing([first, second, undone(second)]) == [first]
    assert standing([first, undone(first), second]) == [second]
    assert standing([undone(first), first]) == [], "what arrives late was taken back all the same"
    assert standing([first, undone(first, by="Ben")]) == [first], "nobody takes back what another said"


def test_a_repeat_and_an_adjudication_stand_beside_the_first_answer():
    first, repeat = said("a", "benign"), said("a", "normal", shown="repeat")
    decision = said("a", "malignant", shown="adjudication")
    assert standing([first, repeat, decision]) == [first, repeat, decision]
    votes = votes_of(standing([repeat, first, decision]))
    assert votes.to_dict() == {"Ann": {"a": "benign"}}
    assert rows([first, repeat])["consensus"].tolist() == ["benign"]


def test_each_scan_that_was_looked_at_has_a_row():
    answers = [
        said("a", "malignant"),
        said("b", None),
        said("c", "benign", shown="control"),
        said("c", "benign", by="Ben"),
        said("d", "benign"),
        said("d", "malignant", by="Ben"),
        said("e", None, given=None),
        said("e", "malignant", by="=Ben", given=None),
        undone(gone := said("f", "benign")),
        gone,
    ]
    found = rows(answers)
    assert found.index.tolist() == ["a", "b", "c", "d", "e"]
    assert texts(found["consensus"]) == ["malignant", None, "benign", None, "malignant"]
    assert found["n_readers"].tolist() == [1, 1, 2, 2, 2]
    assert found["unsettled"].tolist() == [False, False, False, True, False]
    assert found["read_by"].tolist() == ["Ann", "Ann", "Ann, Ben", "Ann, Ben", "=Ben, Ann"]
    assert texts(found["given"]) == ["benign"] * 4 + [None]
    assert texts(found["answer_Ann"]) == ["malignant", None, "benign", "benign", None]
    assert found["read_at"]["c"] == answers[3].time


def test_who_adjudicates_outweighs_all_votes():
    answers = [said("a", "benign"), said("a", "malignant", by="Ben"), said("a", "malignant", by="Cleo")]
    split = rows(answers)
    assert split["consensus"].tolist() == ["malignant"]
    assert split["unsettled"].tolist() == [True]
    settled = rows([*answers, said("a", "benign", by="Dora", shown="adjudication")])
    assert settled["consensus"].tolist() == ["benign"]
    assert settled["unsettled"].tolist() == [False]
    assert settled["n_readers"].tolist() == [4]
    unsure = rows([*answers, said("a", None, by="Dora", shown="adjudication")])
    assert unsure["consensus"].tolist() == ["malignant"]
    assert unsure["unsettled"].tolist() == [False], "it need not be put before somebody a second time"


def test_a_ledger_without_answers_makes_a_table_without_rows():
    empty = table([], rule="majority")
    assert len(empty) == 0
    assert {"sample_id", "consensus", "unsettled"} <= set(empty)


def test_unsure_alone_is_a_row_without_a_label():
    only = rows([said("a", None), said("a", None, by="Ben")])
    assert texts(only["consensus"]) == [None]
    assert only["n_readers"].tolist() == [2]
