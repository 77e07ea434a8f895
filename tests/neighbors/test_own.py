import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.records import Neighbors

RNG = np.random.default_rng(4)


def set_of(n, n_groups, dim=6):
    return neighbors.UnitRows(RNG.normal(size=(n, dim))), RNG.integers(0, n_groups, n)


def brute_force(unit, allowed, k):
    """Neighbours among the pairs that an (N, N) table of bools allows."""
    vectors = unit.take(slice(None))
    similar = np.where(allowed & ~np.eye(len(unit), dtype=bool), (vectors @ vectors.T).round(6), -np.inf)
    order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(similar, order, axis=1)
    return Neighbors(np.where(np.isneginf(best), -1, order), best)


def assert_same(found, expected):
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=2e-6)
    assert (found.indices == expected.indices).mean() > 0.99  # sums differ in their last digit with their order


@pytest.mark.parametrize("n_groups", [1, 3, 40, 400])
def test_own_group(n_groups):
    """Groups of one, of some and of more than are compared at once."""
    unit, groups = set_of(200, n_groups)
    assert_same(neighbors.search_own(unit, groups, k=5), brute_force(unit, groups[:, None] == groups, 5))


@pytest.mark.parametrize("n_groups", [3, 40, 400])
def test_of_everyone_is_a_search_without_groups(n_groups):
    unit, groups = set_of(200, n_groups)
    others = brute_force(unit, groups[:, None] != groups, 9)
    assert_same(neighbors.of_everyone(unit, groups, others, k=6), brute_force(unit, np.ones((200, 200), dtype=bool), 6))


def test_of_everyone_where_there_are_few():
    unit = neighbors.UnitRows(np.eye(3))
    groups = np.array([0, 0, 1])
    others = neighbors.search(np.eye(3), k=5, groups=groups)
    assert (neighbors.of_everyone(unit, groups, others, k=5).indices >= 0).sum(axis=1).tolist() == [2, 2, 2]


@pytest.mark.parametrize("spare", [0, 3, 50])
def test_left_out_is_a_search_with_the_larger_groups(spare):
    unit, groups = set_of(150, 100)
    larger = groups % 30
    found = brute_force(unit, groups[:, None] != groups, 8 + spare)
    assert_same(neighbors.leave_out(found, unit, larger, k=8), brute_force(unit, larger[:, None] != larger, 8))


def test_nobody_is_left():
    unit = neighbors.UnitRows(RNG.normal(size=(4, 3)))
    found = neighbors.search(RNG.normal(size=(4, 3)), k=3)
    left = neighbors.leave_out(found, unit, np.zeros(4, dtype=int), k=2)
    assert (left.indices == -1).all()
    assert np.isneginf(left.similarities).all()
