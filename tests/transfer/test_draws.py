import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_robust.transfer.draws import draw_few, scarce


def patients(rng, n_patients=300, n_classes=3):
    sizes = rng.integers(1, 5, n_patients)
    return rng.integers(n_classes, size=sizes.sum()), np.repeat(rng.permutation(n_patients), sizes)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_classes_keep_their_proportions_and_patients_stay_whole(share):
    labels, groups = patients(np.random.default_rng(0))
    labels[labels == 2] = np.where(np.arange((labels == 2).sum()) % 4, 0, 2)  # a rarer class
    for draw in range(5):
        rows = draw_few(labels, groups, share, seed=0, draw=draw)
        assert np.array_equal(rows, np.flatnonzero(np.isin(groups, groups[rows])))
        wanted = share * np.bincount(labels)
        assert (np.abs(np.bincount(labels[rows], minlength=3) - wanted) <= 5).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.floats(0.001, 0.999))
def test_no_class_is_missing(seed, n_classes, share):
    rng = np.random.default_rng(seed)
    labels, groups = patients(rng, n_patients=12, n_classes=n_classes)
    rows = draw_few(labels, groups, share, seed=seed, draw=0)
    assert set(labels[rows]) == set(labels)
    assert len(np.unique(rows)) == len(rows)


def test_draws_follow_from_the_seed_and_differ():
    labels, groups = patients(np.random.default_rng(0))
    one = draw_few(labels, groups, 0.1, seed=3, draw=1)
    assert np.array_equal(one, draw_few(labels, groups, 0.1, seed=3, draw=1))
    assert not np.array_equal(one, draw_few(labels, groups, 0.1, seed=3, draw=2))
    assert not np.array_equal(one, draw_few(labels, groups, 0.1, seed=4, draw=1))


def test_single_scans_are_drawn_exactly_in_proportion():
    labels = np.repeat([0, 1, 2], [600, 300, 20])
    rows = draw_few(labels, np.arange(920), 0.1, seed=0, draw=0)
    assert np.bincount(labels[rows]).tolist() == [60, 30, 2]


def test_less_than_one_scan_becomes_one_and_is_said():
    labels = np.repeat([0, 1, 3], [500, 40, 5])
    rows = draw_few(labels, np.arange(545), 0.01, seed=0, draw=0)
    assert np.bincount(labels[rows]).tolist() == [5, 1, 0, 1]
    assert scarce(labels, 0.01).tolist() == [1, 3]


def test_a_class_of_one_large_patient_comes_with_all_of_it():
    labels, groups = np.array([0] * 10 + [1] * 30), np.array([*range(10), *[10] * 30])
    rows = draw_few(labels, groups, 0.1, seed=0, draw=0)
    assert np.bincount(labels[rows]).tolist() == [1, 30]
