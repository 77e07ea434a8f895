import numpy as np
import pytest

from ssl_robust.duplicates import Pairs, above_usual, copies, correlations, join

PAIRS = Pairs(np.array([7, 2, 4, 9]), np.array([2, 5, 8, 4]), np.array([0.9, 0.8, 1.0, 0.95]))


def test_joined_by_chains_and_numbered_by_their_first_rows():
    clusters = join(PAIRS, 11)
    assert clusters.of.tolist() == [-1, -1, 0, -1, 1, 0, -1, 0, 1, 1, -1]
    assert [each.tolist() for each in clusters.members()] == [[2, 5, 7], [4, 8, 9]]
    assert clusters.lowest.tolist() == [0.8, 0.95]
    assert clusters.nearest.tolist() == [0, 0, 0.9, 0, 1, 0.8, 0, 0.9, 1, 0.95, 0]


def test_nobody_is_joined():
    nothing = np.empty(0, dtype=np.int64)
    clusters = join(Pairs(nothing, nothing, np.empty(0)), 3)
    assert len(clusters) == 0
    assert clusters.members() == []
    assert clusters.of.tolist() == [-1, -1, -1]
    assert clusters.differ(np.arange(3)).tolist() == []


def test_what_is_unknown_is_no_difference():
    codes = np.array([0, 1, 3, 0, 2, 3, 0, -1, -1, -1, 5])
    assert join(PAIRS, 11).differ(codes).tolist() == [False, False]
    codes[8] = 0
    assert join(PAIRS, 11).differ(codes).tolist() == [False, True]


def test_permuting_the_samples_permutes_the_clusters():
    order = np.random.default_rng(0).permutation(11)
    place = np.argsort(order)
    moved = join(Pairs(place[PAIRS.first], place[PAIRS.second], PAIRS.similarity), 11)
    before = {frozenset(each.tolist()) for each in join(PAIRS, 11).members()}
    assert {frozenset(order[each].tolist()) for each in moved.members()} == before


def test_copies_in_other_files_and_among_the_rows_that_count():
    digests = np.array([5, 6, 5, 6, 5, 6], dtype=np.uint64)
    found = copies(digests, np.array([0, 1, 2, 3, 4]), np.array([0, 1, 2, 1, 4, 5]))
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(0, 2), (2, 4)]
    assert found.similarity.tolist() == [1, 1]


def test_correlations_are_products():
    fine = np.random.default_rng(1).normal(size=(6, 8))
    fine = (fine / np.linalg.norm(fine, axis=1, keepdims=True)).astype(np.float16)
    indices = np.array([[1, 2], [0, -1], [3, 4], [2, 2], [5, 0], [4, -1]])
    found = correlations(fine, indices)
    wide = fine.astype(float)
    for i, j, value in zip(np.repeat(range(6), 2), indices.ravel(), found.ravel(), strict=True):
        assert np.isnan(value) if j < 0 else value == pytest.approx(np.clip(wide[i] @ wide[j], 0, 0.9999), abs=1e-6)


def test_above_usual_written_out():
    similar = np.array([[0.9, 0.5, 0.1], [0.9, 0.8, 0.7], [0.6, 0.5, -np.inf]])
    indices = np.array([[1, 2, 0], [0, 2, 1], [1, 0, -1]])
    middle = np.arctanh([0.5, 0.8, 0.5])
    gaps = above_usual(similar, indices)
    assert gaps.pair[0, 0] == pytest.approx(np.arctanh(0.9) - middle[1])
    assert gaps.pair[2, 1] == pytest.approx(np.arctanh(0.5) - middle[2])
    assert gaps.most[1, 0] == pytest.approx(np.arctanh(0.9) - np.arctanh(0.5))
    assert np.isneginf(gaps.pair[2, 2])
    assert np.isneginf(gaps.most[2, 2])
