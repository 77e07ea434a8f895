import numpy as np

from ssl_robust.probes.folds import grouped_folds


def drawn(n_groups=60, n=200, seed=0):
    rng = np.random.default_rng(seed)
    groups = np.append(np.arange(n_groups), rng.integers(n_groups, size=n - n_groups))
    return rng.integers(3, size=n), groups


def test_groups_stay_whole_and_every_fold_has_as_many():
    labels, groups = drawn()
    folds = grouped_folds(labels, groups, n_folds=5, seed=0)
    of_group = [set(folds[groups == group]) for group in range(60)]
    assert all(len(each) == 1 for each in of_group)
    assert np.bincount([each.pop() for each in of_group]).tolist() == [12] * 5


def test_classes_are_spread_evenly_the_rare_one_too():
    labels = np.repeat([0, 1, 2], [100, 33, 5])
    folds = grouped_folds(labels, np.arange(138), n_folds=5, seed=3)
    for code in range(3):
        counts = np.bincount(folds[labels == code], minlength=5)
        assert counts.max() - counts.min() <= 1
    # A patient with scans of several classes counts for the rarest of them.
    groups = np.concatenate([np.arange(100), np.arange(33), np.arange(5)])
    of_rare = grouped_folds(labels, groups, n_folds=5, seed=3)[labels == 2]
    assert sorted(of_rare) == list(range(5))


def test_fewer_groups_than_folds():
    labels = np.array([0, 1, 0, 1, 0, 1])
    folds = grouped_folds(labels, np.array([0, 0, 1, 1, 2, 2]), n_folds=5, seed=0)
    assert sorted(set(folds)) == [0, 1, 2]
    assert set(grouped_folds(labels, np.zeros(6, dtype=int), n_folds=5, seed=0)) == {0}


def test_folds_follow_their_samples_and_hang_on_the_seed():
    labels, groups = drawn()
    order = np.random.default_rng(1).permutation(200)
    folds = grouped_folds(labels, groups, n_folds=5, seed=0)
    assert np.array_equal(grouped_folds(labels[order], groups[order], n_folds=5, seed=0), folds[order])
    assert not np.array_equal(grouped_folds(labels, groups, n_folds=5, seed=1), folds)
