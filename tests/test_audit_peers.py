import importlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors


@pytest.fixture(scope="module")
def peers():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        return importlib.import_module("_audit_peers")


def test_hoc_finds_the_matrix_that_made_the_labels(peers):
    rng = np.random.default_rng(0)
    matrix, prior = np.array([[0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]]), np.array([0.5, 0.3, 0.2])
    truth = rng.choice(3, 60_000, p=prior)
    given = [(rng.random((60_000, 1)) > np.cumsum(matrix, axis=1)[truth]).sum(axis=1) for _ in range(3)]
    transition, shares = peers.hoc(given[0], np.stack(given[1:], axis=1), n_classes=3)
    np.testing.assert_allclose(transition, matrix, atol=0.03)
    np.testing.assert_allclose(shares, prior, atol=0.03)


def test_selfclean_is_the_ratio_of_nearest_distances(peers):
    rng = np.random.default_rng(1)
    vectors, labels = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(3, size=40)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    got = peers.selfclean(vectors, labels)
    for i in range(40):
        apart = {j: 1 - unit[i] @ unit[j] for j in range(40) if j != i}
        same = min(d for j, d in apart.items() if labels[j] == labels[i])
        other = min(d for j, d in apart.items() if labels[j] != labels[i])
        assert got[i] == pytest.approx(same**2 / (same**2 + other**2), rel=1e-4)


def test_wann_takes_the_smallest_neighbourhood_that_agrees(peers):
    votes = np.ones((3, 51), dtype=int)
    votes[1, :12] = 0  # of 23 twelve are against the label, of 25 thirteen are for it
    got = peers.wann(votes, np.array([1, 1, 0]), n_classes=2)
    np.testing.assert_allclose(got, [1 - 1 / 11, 1 - 1 / 25, 1])


def test_simifeat_puts_the_refused_first(peers):
    votes, labels = np.array([[0] * 6 + [1] * 4, [1] * 10, [0] * 4 + [1] * 6]), np.array([0, 0, 0])
    got = peers.simifeat_vote(votes, labels, n_classes=2)
    np.testing.assert_allclose(got, [0.2, 1.0, 0.8])
    rng = np.random.default_rng(2)
    truth = rng.integers(2, size=2000)
    vectors = np.eye(2)[truth] + rng.normal(scale=0.1, size=(2000, 2))
    given = np.where(rng.random(2000) < 0.2, 1 - truth, truth)
    votes = given[NearestNeighbors(n_neighbors=12).fit(vectors).kneighbors()[1]]
    verdict = peers.simifeat_rank(votes, given, n_classes=2)
    assert verdict.rate == pytest.approx(0.2, abs=0.03)
    assert (verdict.score[given != truth].mean() - verdict.score[given == truth].mean()) > 0.5
