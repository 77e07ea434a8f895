import subprocess
import sys

import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.neighbors import exact


def brute_force(vectors, k, groups=None):
    """Rows of the k best by the definition: cosine, six decimals, lower row first."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    similarities = (unit.astype(np.float32) @ unit.astype(np.float32).T).round(6)
    groups = np.arange(len(vectors)) if groups is None else np.asarray(groups)
    similarities[groups[:, None] == groups[None]] = -np.inf
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(similarities, order, axis=1)
    return np.where(np.isneginf(found), -1, order), found


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 7, 20])
def test_equals_brute_force(vectors, k):
    found = neighbors.search(vectors, k=k)
    indices, similarities = brute_force(vectors, k)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.similarities, similarities, atol=2e-6)


def test_more_neighbours_than_there_are(vectors):
    found = neighbors.search(vectors, k=230)
    for row in range(200):
        assert set(found.indices[row, :199]) == set(range(200)) - {row}
    assert (np.diff(found.similarities[:, :199]) <= 0).all()
    assert (found.indices[:, 199:] == -1).all()
    assert np.isneginf(found.similarities[:, 199:]).all()


@pytest.mark.parametrize("n_groups", [1, 2, 5, 60])
def test_own_group_is_left_out(vectors, n_groups):
    groups = np.random.default_rng(1).integers(0, n_groups, len(vectors)) * 7 - 3
    found = neighbors.search(vectors, k=6, groups=groups)
    indices, _ = brute_force(vectors, 6, groups)
    np.testing.assert_array_equal(found.indices, indices)


def test_large_groups_come_from_whole_rows(monkeypatch, vectors):
    monkeypatch.setattr(exact, "_MOST_EXTRA", 2)
    monkeypatch.setattr(exact, "_BLOCK", 32)
    monkeypatch.setattr(exact, "_ROW_CELLS", 1000)
    groups = np.arange(200) % 3
    vectors[:, 0] += 9 * groups  # the nearest are of the own group
    np.testing.assert_array_equal(
        neighbors.search(vectors, k=5, groups=groups).indices, brute_force(vectors, 5, groups)[0]
    )


def test_duplicates_are_neighbours_and_the_sample_itself_is_not(vectors):
    vectors[150:] = vectors[:50] * 3  # cosine: the same direction is a duplicate
    found = neighbors.search(vectors, k=3)
    assert not (found.indices == np.arange(200)[:, None]).any()
    np.testing.assert_array_equal(found.indices[150:, 0], np.arange(50))
    np.testing.assert_array_equal(found.indices[:50, 0], np.arange(150, 200))


def test_ties_go_to_the_lower_row_even_across_the_cut():
    found = neighbors.search(np.tile([[0.3, 0.1, 0.7]], (100, 1)), k=4)
    np.testing.assert_array_equal(found.indices[50], [0, 1, 2, 3])
    np.testing.assert_array_equal(found.indices[1], [0, 2, 3, 4])
    assert (found.similarities == 1).all()


def test_zero_vectors_are_similar_to_nothing():
    vectors = np.concatenate([np.zeros((2, 3)), np.eye(3)])
    found = neighbors.search(vectors, k=4)
    np.testing.assert_array_equal(found.indices[0], [1, 2, 3, 4])
    assert (found.similarities == 0).all()


def test_scaling_changes_nothing(vectors):
    scales = 10 ** np.random.default_rng(2).uniform(-3, 3, (200, 1))
    np.testing.assert_array_equal(
        neighbors.search(vectors * scales, k=5).indices, neighbors.search(vectors, k=5).indices
    )


def test_permuting_samples_permutes_neighbours(vectors):
    order = np.random.default_rng(3).permutation(200)
    found = neighbors.search(vectors[order], k=5)
    np.testing.assert_array_equal(order[found.indices], neighbors.search(vectors, k=5).indices[order])


def test_query_leaves_nothing_out(vectors):
    found = neighbors.query(vectors, vectors[:10], k=2)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(10))
    np.testing.assert_array_equal(found.indices[:, 1], neighbors.search(vectors, k=1).indices[:10, 0])
    assert (neighbors.query(vectors[:3], vectors, k=5).indices[:, 3:] == -1).all()


def test_reads_any_array(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors)
    expected = neighbors.search(vectors, k=3).indices
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    np.testing.assert_array_equal(neighbors.search(mapped, k=3).indices, expected)
    np.testing.assert_array_equal(neighbors.search(np.asfortranarray(vectors, np.float64), k=3).indices, expected)


def test_one_vector_has_no_neighbour():
    assert (neighbors.search(np.ones((1, 4)), k=2).indices == -1).all()


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.ones(4), {"k": 1}, r"shape \(4,\)"),
        (np.array([[1.0], [np.nan]]), {"k": 1}, "row 1 .* NaN"),
        (np.ones((3, 2)), {"k": 0}, "k is 0"),
        (np.ones((3, 2)), {"k": 1, "groups": [1, 2]}, r"3 vectors and groups of shape \(2,\)"),
    ],
)
def test_misuse_is_named(vectors, options, message):
    with pytest.raises(ValueError, match=message):
        neighbors.search(vectors, **options)


def test_query_of_other_dimensions_is_named():
    with pytest.raises(ValueError, match="2 dimensions and vectors 3"):
        neighbors.query(np.ones((4, 2)), np.ones((4, 3)), k=1)


def test_never_imports_torch():
    code = "import sys, ssl_robust.neighbors; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("piece", [7, 1000])
def test_a_query_leaves_its_own_group_out_and_is_centred_as_the_reference(monkeypatch, piece):
    monkeypatch.setattr("ssl_robust.neighbors.exact._PIECE", piece)
    rng = np.random.default_rng(3)
    reference, vectors = rng.normal(3, 1, (40, 5)), rng.normal(3, 1, (6, 5))
    groups, own = np.arange(40) // 4, np.array([-1, 0, 9, 3, -1, 3])
    found = neighbors.query(reference, vectors, k=6, groups=groups, own=own, center=True)
    mean = reference.mean(axis=0)
    unit, new = ((each - mean) / np.linalg.norm(each - mean, axis=1, keepdims=True) for each in (reference, vectors))
    similar = np.where(groups == own[:, None], -np.inf, new @ unit.T)
    np.testing.assert_array_equal(found.indices, np.argsort(-similar, axis=1)[:, :6])
    np.testing.assert_allclose(found.similarities, -np.sort(-similar, axis=1)[:, :6], atol=2e-6)
