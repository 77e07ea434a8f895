import json

import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.agreement import (
    agreement,
    class_agreement,
    cohen_kappa,
    fleiss_kappa,
    in_words,
    pairwise_agreement,
)

# 14 readers, ten subjects, five classes: the example in Wikipedia's article on Fleiss' kappa.
TEN = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip
# Four readers who did not all see each of twelve units: the example of Gwet (2014) and of his package irrCAC.
TWELVE = ["11-1", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "-555", "--11", "--3-"]


def votes(lines, names="ABCD"):
    cells = [[None if cell == "-" else cell for cell in line] for line in lines]
    return pd.DataFrame(cells, columns=list(names[: len(lines[0])]), dtype="string")


def counts(lines):
    return np.array([[line.count(word) for word in "12345"] for line in lines])


def test_textbook_examples():
    assert fleiss_kappa(TEN) == pytest.approx(0.210, abs=5e-4)
    assert pairwise_agreement(TEN) == pytest.approx(0.378, abs=5e-4)
    assert fleiss_kappa(counts(TWELVE)) == pytest.approx(0.76117, abs=5e-6)
    assert pairwise_agreement(counts(TWELVE)) == pytest.approx(0.81818, abs=5e-6)
    # 20 times both yes, 15 times both no, and 5 and 10 times one of each: Wikipedia on Cohen's kappa
    first, second = np.repeat([0, 0, 1, 1], [20, 5, 10, 15]), np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_what_cannot_be_compared_has_no_kappa():
    assert np.isnan(fleiss_kappa(np.array([[2, 0], [3, 0]]))), "one class"
    assert np.isnan(fleiss_kappa(np.eye(3, dtype=int))), "nobody saw what another saw"
    assert np.isnan(cohen_kappa(np.zeros(3, int), np.zeros(3, int)))
    assert np.isnan(cohen_kappa(np.zeros(0, int), np.zeros(0, int)))


def test_agreement_within_a_class_is_that_of_a_second_reader():
    # Of class 0: two readers agree once (2 ordered pairs), one is joined by another class (1): 2 / 3.
    np.testing.assert_allclose(class_agreement(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 1]])), [2 / 3, 0, np.nan])


def test_a_report_gets_plain_numbers():
    table = votes(TWELVE)
    labels = pd.Series(["1", "2", "3", "3", "2", None, "4", "1", "2", "5", "1", "3"], dtype="string")
    found = agreement(table, labels)
    json.dumps(found, allow_nan=False)
    # Of C's labels one is on a scan that nobody else saw; of the other ten all agree with it on seven, none on three.
    assert found["readers"][2] == pytest.approx(
        {"name": "C", "n": 11, "n_shared": 10, "with_others": 0.7, "others": 0.9}
    )
    assert (found["n_scans"], found["n_shared"], found["n_unsettled"]) == (12, 11, 1)
    assert found["unanimous"] == pytest.approx(8 / 11)
    assert found["kappa"]["name"] == "Fleiss' kappa"
    assert len(found["pairs"]) == 6
    assert found["pairs"][0]["n"] == 9
    assert found["pairs"][0]["agreement"] == pytest.approx(8 / 9)
    assert [each["name"] for each in found["classes"]] == list("12345")
    assert in_words(found) == (
        "4 readers (A, B, C, D) gave labels to 12 scans, 11 of which two or more saw: all agree on 72.7%, Fleiss' "
        "kappa 0.76, 1 without a label as their readers tie"
    )


def test_two_readers_have_cohens_kappa():
    found = agreement(votes(["xx", "xy", "yy", "x-"]), pd.Series(["x", None, "y", "x"], dtype="string"))
    assert found["kappa"] == {"name": "Cohen's kappa", "value": found["pairs"][0]["kappa"]}
    assert found["pairwise"] == pytest.approx(2 / 3)


def test_readers_who_shared_nothing():
    found = agreement(votes(["x-", "-y"]), pd.Series(["x", "y"], dtype="string"))
    assert found["kappa"]["value"] is found["unanimous"] is found["pairwise"] is None
    assert in_words(found) == "2 readers (A, B) gave labels to 2 scans, no two saw the same one"
