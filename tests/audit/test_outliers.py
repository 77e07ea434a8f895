import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.audit.outliers import outlier_scores, outliers_table
from ssl_robust.records import Neighbors
from ssl_robust.settings import defaults

LIMIT = defaults("", "audit")["outliers"]["limit"]
RNG = np.random.default_rng(8)


def of_one_kind(n, kind):
    return RNG.normal(size=(n, 32)) * 0.4 + np.eye(32)[kind] * 4


def scored(vectors, k=50, limit=LIMIT):
    unit = neighbors.UnitRows(vectors, center=True)
    graph = neighbors.build_graph(
        vectors, k=k, center=True, seed=0, settings=defaults("neighbors", "auto") | {"index": "exact"}
    )
    return outlier_scores(graph.neighbors, unit.lengths, limit=limit)


@pytest.mark.parametrize("k", [6, 7])
def test_written_out(k):
    vectors = RNG.normal(size=(40, 5)) * np.exp(RNG.normal(size=(40, 1)))
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = unit @ unit.T - 9 * np.eye(40)
    nearest = np.argsort(-cosines, axis=1)[:, :k]
    d = np.median(np.linalg.norm(centred[:, None] - centred[nearest], axis=2), axis=1)
    z = 0.6745 * (d - np.median(d)) / np.median(d[d > np.median(d)] - np.median(d))
    np.testing.assert_allclose(scored(vectors, k=k, limit=2.5), 1 / (1 + np.exp(2.5 - z)), atol=1e-4)


def test_only_neighbours_that_are_there_count():
    indices = np.array([[1, 2, 3, 4], [2, 3, -1, -1], [-1] * 4, [4, 0, 1, -1], [0, -1, -1, -1]])
    similarities = np.where(indices < 0, -np.inf, 0.0)
    lengths = np.array([1, 2, 9, 4, 5], dtype=np.float32)
    found = outlier_scores(Neighbors(indices, similarities), lengths, limit=3)
    d = np.array([
        np.median(np.hypot(1, [2, 9, 4, 5])), np.median(np.hypot(2, [9, 4])), np.nan, np.median(np.hypot(4, [5, 1, 2])),
        np.hypot(5, 1),
    ])  # fmt: skip
    known, above = ~np.isnan(d), d - np.nanmedian(d)
    z = 0.6745 * above / np.median(above[known & (above > 0)])
    np.testing.assert_allclose(found, np.where(known, 1 / (1 + np.exp(3 - z)), 0), atol=2e-6)


@pytest.mark.parametrize("index", [-1, 0])
def test_no_neighbours_and_no_spread(index):
    near = Neighbors(np.full((3, 1), index), np.full((3, 1), -np.inf if index < 0 else 0.2))
    assert (outlier_scores(near, np.ones(3), limit=LIMIT) < 0.5).all()
    assert (outlier_scores(Neighbors(near.indices * 0, np.ones((3, 1))), np.ones(3), limit=LIMIT) < 0.5).all()


def test_far_out_in_a_usual_direction():
    vectors = of_one_kind(300, 0)
    vectors[7] *= 6
    assert np.flatnonzero(scored(vectors) > 0.5).tolist() == [7]


@pytest.mark.parametrize("n_strange", [1, 12])
def test_strange_scans_are_found_even_several_of_one_kind(n_strange):
    kinds = [of_one_kind(300, kind) for kind in range(3)]
    scores = scored(np.concatenate([*kinds, 2 * of_one_kind(n_strange, 5)]))
    assert (scores[900:] > 0.5).all()
    assert (scores[:900] > 0.5).sum() == 0


def test_permuting_the_samples_permutes_the_scores():
    vectors, order = RNG.normal(size=(100, 8)), RNG.permutation(100)
    np.testing.assert_allclose(scored(vectors[order], k=9), scored(vectors, k=9)[order], atol=1e-4)


def test_the_table_holds_who_is_beyond_the_limit():
    scores = np.array([0.1, 0.7, 0.5, 0.9])
    table = outliers_table(
        scores, ids=np.array(list("abcd"), object), labels=np.array([0, 1, 1, 0]), classes=np.array(["x", "y"], object)
    )
    assert table.to_dict("list") == {
        "sample_id": ["d", "b"], "label": ["x", "y"], "score": [0.9, 0.7], "rank": [1, 2],
    }  # fmt: skip
