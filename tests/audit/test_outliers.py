import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.audit.outliers import outlier_scores, outliers_table
from ssl_robust.records import Neighbors
from ssl_robust.settings import defaults

LIMIT = defaults("", "audit")["outliers"]["limit"]
RNG = np.random.default_rng(8)


def near(distances):
    """(N, k) neighbours at given cosine distances."""
    distances = np.asarray(distances, dtype=float)
    return Neighbors(np.where(np.isnan(distances), -1, 0), np.where(np.isnan(distances), -np.inf, 1 - distances))


def of_one_kind(n, kind):
    return RNG.normal(size=(n, 32)) * 0.4 + np.eye(32)[kind] * 4


def test_written_out():
    distances = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    found = outlier_scores(near(np.stack([distances / 2, distances], axis=1)), limit=2.5)
    z = 0.6745 * (distances - 0.3) / np.median([0.1, 0.6])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(2.5 - z)), atol=2e-6)


def test_the_last_neighbour_there_is_counts():
    few = near([[0.1, 0.2, 0.3], [0.1, 0.5, np.nan], [np.nan] * 3, [0.2, 0.3, 0.4]])
    full = near([[0.3], [0.5], [np.nan], [0.4]])
    np.testing.assert_array_equal(outlier_scores(few, limit=3), outlier_scores(full, limit=3))
    assert outlier_scores(few, limit=3)[2] == 0


@pytest.mark.parametrize("distances", [[[np.nan]] * 3, [[0.2]] * 3])
def test_no_neighbours_and_no_spread(distances):
    assert (outlier_scores(near(distances), limit=LIMIT) < 0.5).all()


@pytest.mark.parametrize("n_strange", [1, 12])
def test_strange_scans_are_found_even_several_of_one_kind(n_strange):
    kinds = [of_one_kind(300, kind) for kind in range(3)]
    vectors = np.concatenate([*kinds, -of_one_kind(n_strange, 5)])
    scores = outlier_scores(neighbors.search(vectors, k=50), limit=LIMIT)
    assert (scores[900:] > 0.5).all()
    assert (scores[:900] > 0.5).sum() == 0


def test_permuting_the_samples_permutes_the_scores():
    vectors, order = RNG.normal(size=(100, 8)), RNG.permutation(100)
    before, after = (outlier_scores(neighbors.search(each, k=10), limit=LIMIT) for each in (vectors, vectors[order]))
    np.testing.assert_allclose(after, before[order], atol=1e-4)


def test_the_table_holds_who_is_beyond_the_limit():
    scores = np.array([0.1, 0.7, 0.5, 0.9])
    table = outliers_table(
        scores, ids=np.array(list("abcd"), object), labels=np.array([0, 1, 1, 0]), classes=np.array(["x", "y"], object)
    )
    assert table.to_dict("list") == {
        "sample_id": ["d", "b"], "label": ["x", "y"], "score": [0.9, 0.7], "rank": [1, 2],
    }  # fmt: skip
