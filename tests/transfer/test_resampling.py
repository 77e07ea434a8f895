import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_robust import metrics
from ssl_robust.transfer.resampling import MEASURES, measures, resampled_counts


def predictions(rng, n, n_classes, *, ties):
    labels = rng.integers(n_classes, size=n)
    chances = rng.random((n, n_classes)) + 0.5 * np.eye(n_classes)[labels]
    chances = np.round(chances, 1) if ties else chances
    return labels, chances / chances.sum(axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5), st.booleans())
def test_counts_give_the_measures_of_the_repeated_scans(seed, n_classes, ties):
    rng = np.random.default_rng(seed)
    labels, chances = predictions(rng, 40, n_classes, ties=ties)
    counts = rng.integers(0, 3, (3, 40)) * (rng.random((3, 40)) < 0.3)
    counts[:, 0] += 1
    got = measures(labels, chances, counts.astype(float))
    for row, count in enumerate(counts):
        repeated = np.repeat(np.arange(40), count)
        expected = metrics.classification(labels[repeated], chances[repeated])
        for name in MEASURES:
            assert got[name][row] == pytest.approx(expected[name], nan_ok=True)


def test_the_draws_are_those_of_the_bootstrap():
    rng = np.random.default_rng(0)
    labels, chances = predictions(rng, 90, 3, ties=False)
    groups = rng.integers(20, size=90)
    counts = np.concatenate(list(resampled_counts(groups, n_resamples=60, seed=5)))
    assert counts.shape == (61, 90)
    assert (counts[0] == 1).all()
    values = measures(labels, chances, counts)["balanced_accuracy"]
    expected = metrics.bootstrap_interval(
        lambda y, p: metrics.classification(y, p)["balanced_accuracy"], labels, chances,
        groups=groups, n_resamples=60, level=0.9, seed=5,
    )  # fmt: skip
    assert metrics.percentile_interval(values[0], values[1:], 0.9) == pytest.approx(expected)


def test_groups_count_as_a_whole_and_blocks_change_nothing(monkeypatch):
    groups = np.array([4, 4, 9, 9, 9, 2])
    whole = np.concatenate(list(resampled_counts(groups, n_resamples=9, seed=1)))
    assert all(len(set(row[groups == group])) == 1 for row in whole for group in (2, 4, 9))
    monkeypatch.setattr("ssl_robust.transfer.resampling._BLOCK", 12)
    blocks = list(resampled_counts(groups, n_resamples=9, seed=1))
    assert [len(block) for block in blocks] == [1, 2, 2, 2, 2, 1]
    assert np.array_equal(np.concatenate(blocks), whole)
