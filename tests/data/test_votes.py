import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.votes import check_votes, consensus, pick_votes, share_of_readers, vote_counts
from ssl_robust.run import UserError


def table(*lines, names=("a", "b", "c", "d")):
    cells = [[None if cell == "-" else cell for cell in line] for line in lines]
    return pd.DataFrame(cells, columns=list(names[: len(lines[0])]), dtype="string")


def picked(label, *, rule="majority", of=None):
    return pick_votes(table("xxy", "yyy") if of is None else of, {"label": label}, rule, classes=None, where="t.csv")


def texts(series):
    return [None if pd.isna(each) else each for each in series]


def test_most_votes_win_and_a_tie_stays_without_a_label():
    found = consensus(table("xxy", "xyz", "--y", "xy-", "---", "yyy"), "majority")
    assert texts(found) == ["x", None, "y", None, None, "y"]
    assert str(found.dtype) == "string"


def test_what_a_reader_always_turns_round_is_turned_back():
    good = ["xxxy", "yyyx"] * 30 + ["xxyx", "yyxy"] * 20  # three who mostly agree, and one who turns all round
    votes = table(*[line[:3] + ("y" if line[0] == "x" else "x") for line in good], "xx-y", "---x", "----")
    assert texts(consensus(votes, "majority"))[-2:] == ["x", None]
    assert texts(consensus(votes, "dawid_skene"))[-3:] == ["x", "y", None], "what the fourth says, turned round"


def test_votes_are_counted():
    codes = np.array([[0, 2, 2], [-1, -1, 1], [-1, -1, -1]])
    assert vote_counts(codes, n_classes=3).tolist() == [[1, 0, 2], [0, 1, 0], [0, 0, 0]]


def test_the_share_is_of_those_who_looked():
    labels = pd.Series(["x", "x", None, "y"], dtype="string")
    np.testing.assert_allclose(share_of_readers(table("xxy", "x--", "xyz", "---"), labels), [2 / 3, 1, np.nan, np.nan])


def test_several_columns_are_readers_and_one_is_none():
    assert picked("a") is None
    assert picked(None) is None
    found = picked(["c", "a"])
    assert list(found.table) == ["c", "a"]
    assert texts(picked(["a", "b"], of=table(["NA", "x"], ["x", "x"])).table["a"]) == [None, "x"]


@pytest.mark.parametrize(
    ("label", "rule", "message"),
    [
        (["a", "bb", "c"], "majority", r"has no column 'bb' .is it 'b'. then data.columns.label=\[a,b,c\]"),
        (["a"], "majority", r"data.columns.label=\[a\] must be several columns"),
        (["a", "a"], "majority", r"data.columns.label=\[a,a\] must be several columns"),
        (["a", "b"], "dawid_skene", "needs three readers or more"),
        (["a", "b"], "vote", "data.consensus=vote does not exist; expected majority or dawid_skene"),
    ],
)
def test_what_is_no_choice_of_readers(label, rule, message):
    with pytest.raises(UserError, match=message):
        picked(label, rule=rule)


def test_empty_and_crowded_cells_are_named():
    with pytest.raises(UserError, match="t.csv: the column 'b' is empty"):
        picked(["a", "b"], of=table("x-", "y-"))
    with pytest.raises(UserError, match=r"several labels in one cell \('x|y'\)"):
        picked(["a", "b"], of=table(["x", "x|y"], ["y", "y"]))


def test_readers_who_use_other_words_are_named(capsys):
    check_votes(table("xxy", "yyx"), "t.csv")
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"t.csv: 'c' and the other readers share no label \(0, 1 against x, y\)"):
        check_votes(table("xx0", "yy1"), "t.csv")
    with pytest.raises(UserError, match="the column 'c' holds no label"):
        check_votes(table("xx-", "yy-"), "t.csv")
    check_votes(table(["nevus", "nevus"], ["nevus", "nevvus"], ["scar", "scar"]), "t.csv")
    assert capsys.readouterr().err == "Note: t.csv: 'nevvus' stands in b alone (1x); is it 'nevus'?\n"
