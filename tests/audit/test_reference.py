"""The votes of a finished audit on new labels, against a full audit and a written-out sum."""

import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.audit.reference import Voters, calibrated, judge
from ssl_robust.audit.scores.knn import vote_shares

K, DIM = 3, 6
OPTIONS = {"k": 9, "center": False, "temperature": 0.2}


@pytest.fixture
def voters():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, K, 80)
    vectors = (rng.normal(size=(80, DIM)) + 2 * np.eye(DIM)[labels]).astype(np.float32)
    return Voters(vectors, labels, np.arange(80) // 2, np.ones(80), K)


def new_samples(n=12):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, K, n)
    return (rng.normal(size=(n, DIM)) + 2 * np.eye(DIM)[labels]).astype(np.float32), rng.permutation(labels)


@pytest.mark.parametrize("k", [9, 200])
def test_each_new_sample_gets_the_votes_that_a_full_audit_with_it_alone_gives(voters, k):
    vectors, labels = new_samples()
    own = np.array([-1, -1, 0, 7, 39] + [-1] * 7)
    found = judge(voters, vectors, labels, own, **{**OPTIONS, "k": k})
    for row in range(len(labels)):
        together = np.concatenate([voters.vectors, vectors[row : row + 1]])
        groups = np.append(voters.groups, own[row] if own[row] >= 0 else 40)
        all_labels = np.append(voters.labels, labels[row])
        graph = neighbors.search(together, k=k, groups=groups)
        expected = vote_shares(graph, all_labels, groups, n_classes=K, temperature=0.2)
        np.testing.assert_allclose(found.shares[row], expected[-1], atol=1e-6)
        assert not np.isin(found.neighbors.indices[row], np.flatnonzero(voters.groups == own[row])).any()


def test_votes_of_suspects_count_less_as_written_out(voters):
    trust = np.random.default_rng(2).uniform(size=80)
    voters = Voters(voters.vectors, voters.labels, voters.groups, trust, K)
    vectors, labels = new_samples()
    found = judge(voters, vectors, labels, np.full(12, -1), **OPTIONS)
    unit, new = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (voters.vectors, vectors))
    for row in range(12):
        similar = (unit @ new[row]).astype(np.float64)
        nearest = np.argsort(-similar)[:9]
        weights = trust[nearest] * np.exp(similar[nearest] / 0.2)
        votes = np.array([weights[voters.labels[nearest] == each].sum() for each in range(K)]) / weights.sum()
        np.testing.assert_allclose(found.shares[row], votes, atol=2e-5)
        assert found.score[row] == pytest.approx(1 - votes[labels[row]], abs=2e-5)
        assert found.suggested[row] == votes.argmax()


def test_a_new_batch_that_is_wrong_together_does_not_vouch_for_itself(voters):
    vectors = np.repeat(5 * np.eye(DIM, dtype=np.float32)[:1], 30, axis=0) + 0.01 * np.arange(30)[:, None] / 30
    found = judge(voters, vectors, np.full(30, 1), np.full(30, -1), **OPTIONS)
    assert (found.suggested == 0).all()
    assert (found.score > 0.8).all()


def test_the_means_of_the_reference_are_taken_off_both(voters):
    vectors, labels = new_samples()
    moved = Voters(voters.vectors + 7, voters.labels, voters.groups, voters.trust, K)
    one = judge(voters, vectors, labels, np.full(12, -1), **{**OPTIONS, "center": True})
    other = judge(moved, vectors + 7, labels, np.full(12, -1), **{**OPTIONS, "center": True})
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-4)


def test_nobody_to_vote_speaks_against_nobody(voters):
    alone = Voters(voters.vectors[:2], voters.labels[:2], np.zeros(2, int), np.ones(2), K)
    vectors, labels = new_samples(2)
    found = judge(alone, vectors, labels, np.zeros(2, int), **OPTIONS)
    assert found.score.tolist() == [0, 0]
    assert found.suggested.tolist() == labels.tolist()
    distrusted = Voters(voters.vectors, voters.labels, voters.groups, np.zeros(80), K)
    assert (judge(distrusted, vectors, labels, np.full(2, -1), **OPTIONS).score == 0).all()


def test_probabilities_rise_with_the_score_and_are_those_of_the_reference(voters):
    found = judge(voters, voters.vectors, voters.labels, voters.groups, **OPTIONS)
    p = found.score**2
    scores = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    probabilities = calibrated(voters, p, scores, n=80, seed=0, **OPTIONS)
    assert (np.diff(probabilities) >= 0).all()
    at_own = calibrated(voters, p, found.score, n=80, seed=0, **OPTIONS)
    np.testing.assert_allclose(at_own, p, atol=1e-5)
    few = calibrated(voters, p, found.score, n=20, seed=0, **OPTIONS)
    assert ((few >= 0) & (few <= 1)).all()
    np.testing.assert_array_equal(few, calibrated(voters, p, found.score, n=20, seed=0, **OPTIONS))
