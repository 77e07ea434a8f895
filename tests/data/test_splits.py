import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_robust.data import splits as splits_module
from ssl_robust.data.splits import assign_splits, named_splits
from ssl_robust.run import UserError

FRACTIONS = {"val": 0.1, "test": 0.2}


@st.composite
def sets(draw):
    n = draw(st.integers(1, 60))
    labels = np.array(draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n)))
    groups = np.array(draw(st.lists(st.integers(0, 25), min_size=n, max_size=n)))
    return [f"scan-{i}" for i in range(n)], labels, groups, draw(st.integers(0, 3))


@pytest.mark.parametrize("many", [3, 2000], ids=["many patients", "few patients"])
@given(case=sets())
@settings(max_examples=50, deadline=None)
def test_patients_stay_together_and_every_class_can_be_learned(many, case):
    ids, labels, groups, seed = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits_module, "_MANY", many)
        splits = assign_splits(ids, labels, groups, fractions=FRACTIONS, seed=seed)
    assert set(splits) <= {"train", "val", "test"}
    for group in np.unique(groups):
        assert len(set(splits[groups == group])) == 1
    for label in np.unique(labels[labels >= 0]):
        assert "train" in splits[labels == label]


@given(sets(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_scans_does_not_matter(case, random):
    ids, labels, groups, seed = case
    first = assign_splits(ids, labels, groups, fractions=FRACTIONS, seed=seed)
    order = list(range(len(ids)))
    random.shuffle(order)
    renamed = 100 - groups[order]  # codes of patients depend on the order, too
    second = assign_splits([ids[i] for i in order], labels[order], renamed, fractions=FRACTIONS, seed=seed)
    assert (second == first[order]).all()


@pytest.mark.parametrize("many", [10, 2000], ids=["many patients", "few patients"])
def test_shares_and_proportions(monkeypatch, many):
    monkeypatch.setattr(splits_module, "_MANY", many)
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    groups = np.arange(1000) // 2
    splits = assign_splits([f"{i:04d}" for i in range(1000)], labels, groups, fractions=FRACTIONS, seed=0)
    for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        counts = np.bincount(labels[splits == name], minlength=3)
        assert counts.sum() == pytest.approx(1000 * share, abs=15)
        assert counts / counts.sum() == pytest.approx([0.7, 0.25, 0.05], abs=0.02)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.03, 0.08, 0.45, 0.97, 0.98])
@pytest.mark.parametrize("n_patients", [400, 20])
def test_every_share_is_met_as_nearly_as_patients_allow(share, n_patients):
    labels = np.arange(4000) % 2
    groups = np.arange(4000) % n_patients // 2 * 2 + np.arange(4000) // 2 % 2  # both classes in a patient
    splits = assign_splits(
        [f"{i:04d}" for i in range(4000)], labels, groups, fractions={"val": 0.01, "test": share}, seed=0
    )
    patient = 1 / len(np.unique(groups))
    assert np.mean(splits == "test") == pytest.approx(share, abs=max(patient, 0.006))
    left = np.mean(splits != "test")
    assert np.mean(splits == "val") <= 0.01 + patient
    assert (splits == "val").any() == (left > patient), "the last patient is for train"
    assert (splits == "train").any()


def test_few_patients_of_many_classes_do_not_swell_a_share():
    groups = np.arange(300)
    splits = assign_splits([f"{i:03d}" for i in groups], groups // 3, groups, fractions=FRACTIONS, seed=0)
    assert np.mean(splits == "test") == pytest.approx(0.2, abs=0.02)


def test_the_seed_matters_and_zero_shares_are_empty():
    ids, labels, groups = [str(i) for i in range(200)], np.arange(200) % 2, np.arange(200)
    draws = [assign_splits(ids, labels, groups, fractions=FRACTIONS, seed=seed) for seed in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()
    none = assign_splits(ids, labels, groups, fractions={"val": 0, "test": 0}, seed=0)
    assert (none == "train").all()


def test_without_labels_all_is_train_and_lone_patients_too():
    ids = [str(i) for i in range(40)]
    assert (assign_splits(ids, np.full(40, -1), np.arange(40), fractions=FRACTIONS, seed=0) == "train").all()
    labels = np.where(np.arange(40) < 3, 1, 0)
    groups = np.maximum(np.arange(40), 2)  # the second class is one patient
    assert (assign_splits(ids, labels, groups, fractions=FRACTIONS, seed=0)[:3] == "train").all()


def test_wrong_shares_and_names_are_refused():
    with pytest.raises(UserError, match=r"leave nothing for train"):
        assign_splits(["a"], np.array([0]), np.array([0]), fractions={"val": 0.5, "test": 0.5}, seed=0)
    assert named_splits(["Training", "valid", "TEST"], "x") == ["train", "val", "test"]
    with pytest.raises(UserError, match=r"row 2 has the split 'holdout'"):
        named_splits(["train", "holdout"], "x.csv")
    with pytest.raises(UserError, match=r"row 1 has no split"):
        named_splits([None, "val"], "x.csv")
