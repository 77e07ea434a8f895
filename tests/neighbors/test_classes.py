import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.neighbors import UnitRows, nearest_by_class


@pytest.mark.parametrize("k", [1, 5, 119])
def test_equals_brute_force_however_few_neighbours_are_known(k):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 4], [80, 30, 9, 1])
    vectors = (np.eye(5)[labels] + 0.1 * rng.normal(size=(120, 5))).astype(np.float32)  # far apart: k do not suffice
    groups = rng.integers(0, 50, 120)
    found = neighbors.search(vectors, k=k, groups=groups)
    same, other = nearest_by_class(UnitRows(vectors), labels, groups, found)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarities = np.where(groups[:, None] == groups, -np.inf, unit @ unit.T)
    alike = labels[:, None] == labels
    np.testing.assert_allclose(same, np.where(alike, similarities, -np.inf).max(axis=1), atol=2e-6)
    np.testing.assert_allclose(other, np.where(alike, -np.inf, similarities).max(axis=1), atol=2e-6)
    assert same.dtype == np.float32
    assert np.isneginf(same[-1])


def test_a_group_that_holds_all_of_a_class():
    vectors, labels = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    found = neighbors.search(vectors, k=2, groups=np.array([0, 1, 1]))
    same, other = nearest_by_class(UnitRows(vectors), labels, np.array([0, 1, 1]), found)
    assert np.isneginf(same).all()
    assert other.tolist() == [0, 0, 0]
