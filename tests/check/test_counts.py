import numpy as np
from planted import opened, textures

from ssl_robust.check.counts import count, judge_counts


def told(facts, few=2):
    return [(each.severity, each.about, each.text) for each in judge_counts(facts, few_patients=few, is_folder=False)]


def counted(tmp_path, labels, **how):
    return count(opened(tmp_path, textures(len(labels)), labels, **how).manifest)


def test_counts_by_class_split_and_patient(tmp_path):
    facts = counted(
        tmp_path, [0, 0, 1, 0, 1, -1], patients=["a", "a", "b", "a", "c", "d"],
        splits=["train", "train", "train", "test", "test", "train"],
    )  # fmt: skip
    assert facts["classes"] == [
        {"name": "0", "n": 3, "n_patients": 1, "n_groups": 1, "splits": {"train": 2, "val": 0, "test": 1}},
        {"name": "1", "n": 2, "n_patients": 2, "n_groups": 2, "splits": {"train": 1, "val": 0, "test": 1}},
    ]
    assert facts["n_unlabelled"] == 1
    assert facts["splits"] == {"train": 4, "val": 0, "test": 2}
    assert facts["patients"] == {
        "n": 4, "n_unknown": 0, "scans_each": {"median": 1.0, "maximum": 3}, "n_in_several": 1
    }  # fmt: skip
    found = told(facts)
    assert any(each[0] == "problem" and "1 patient of 4 with scans in more than one split" in each[2] for each in found)
    assert any("1 class with fewer than 2 patients (0 1)" in each[2] for each in found)
    assert any("1 scan of 6 without a label" in each[2] for each in found)


def test_a_class_that_nothing_can_learn(tmp_path):
    facts = counted(tmp_path, [0, 0, 0, 1, 0, 1], splits=["train"] * 3 + ["test"] * 3)
    (found,) = [each for each in told(facts) if each[0] == "problem"]
    assert "No scan of 1 in train, so nothing can learn them" in found[2]


def test_without_patients_without_labels_and_with_one_class(tmp_path):
    facts = counted(tmp_path, [-1, -1, -1])
    assert [each[:2] for each in told(facts)] == [("look", "labels"), ("look", "patients")]
    assert "data.columns.patient_id=" in told(facts)[1][2]
    assert "one class" in told(counted(tmp_path, [0, 0, 0]))[0][2]


def test_a_class_that_dwarfs_another(tmp_path):
    facts = counted(tmp_path, [0] * 44 + [1] * 4)
    assert any("0 has 92% of the labels, 11 times as many" in each[2] for each in told(facts))
    assert not any("times as many" in each[2] for each in told(counted(tmp_path, [0] * 40 + [1] * 4)))


def test_all_is_well(tmp_path):
    labels = np.tile([0, 1], 6)
    facts = counted(tmp_path, labels, patients=list("abcdefghijkl"), splits=["train"] * 6 + ["test"] * 6)
    assert told(facts) == [("fine", "patients", "12 patients, none of them in more than one split")]


def test_scans_of_nobody_known_are_not_too_few_patients(tmp_path):
    facts = counted(tmp_path, [0, 1] * 4, patients=["a", None, "b", None, "c", None, "d", None])
    assert [(each["n_patients"], each["n_groups"]) for each in facts["classes"]] == [(4, 4), (0, 4)]
    assert not any("fewer than" in each[2] for each in told(facts, few=4))
