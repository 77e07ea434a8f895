import numpy as np
import pytest

from ssl_robust.audit.strength import effective_voters
from ssl_robust.records import Neighbors


def test_written_out():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 8, 30)
    indices = rng.integers(0, 30, (30, 6))
    similarities = np.sort(rng.random((30, 6)), axis=1)[:, ::-1]
    found = effective_voters(Neighbors(indices, similarities), groups, temperature=0.3)
    for row in range(30):
        weights = np.zeros(8)
        np.add.at(weights, groups[indices[row]], np.exp(similarities[row] / 0.3))
        assert found[row] == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), abs=0.006)


def test_limits():
    indices = np.array([[1, 2, 3, 4], [2, 3, 4, 0], [3, -1, -1, -1], [-1] * 4, [1, 2, 3, 0]])
    similarities = np.where(indices < 0, -np.inf, 0.5)
    groups = np.array([0, 1, 1, 1, 1])
    found = effective_voters(Neighbors(indices, similarities), groups, temperature=0.2)
    assert found.tolist() == [1, 1.6, 1, 0, 1.6]
    alone = effective_voters(Neighbors(indices, similarities), np.arange(5), temperature=0.2)
    assert alone.tolist() == [4, 4, 1, 0, 4]


def test_a_small_temperature_does_not_overflow():
    found = effective_voters(Neighbors(np.array([[1, 2]] * 3), np.full((3, 2), 0.9)), np.arange(3), temperature=1e-6)
    assert found.tolist() == [2, 2, 2]
