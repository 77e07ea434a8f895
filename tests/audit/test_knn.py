import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.audit.scores.knn import knn_score, suggest, vote_shares
from ssl_robust.records import Neighbors

TEMPERATURE = 0.1


def graph(indices, similarities=None):
    indices = np.asarray(indices)
    similarities = np.ones(indices.shape) if similarities is None else np.asarray(similarities)
    return Neighbors(indices, np.where(indices < 0, -np.inf, similarities).astype(np.float32))


def score(found, labels, groups=None, *, n_classes=3):
    labels = np.asarray(labels)
    return knn_score(vote_shares(found, labels, groups, n_classes=n_classes, temperature=TEMPERATURE), labels)


def test_equals_the_written_out_formula():
    found = graph([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]], [[0.9, 0.7, 0.6]] * 4)
    labels = [0, 0, 1, 1]
    weights = np.exp(np.array([0.9, 0.7, 0.6]) / TEMPERATURE)
    # Each label has one other carrier, so it is judged by the nearest voter alone.
    expected = [1 - 1, 1 - 1, 1 - weights[2] / weights[0], 1 - weights[2] / weights[0]]
    np.testing.assert_allclose(score(found, labels), expected, atol=2e-6)
    labels = np.array([0, 0, 0, 1])
    expected = 1 - weights[:2].sum() / weights[:2].sum(), 1 - weights[:2].sum() / weights[:2].sum()
    np.testing.assert_allclose(score(found, labels)[:2], expected, atol=2e-6)
    shares = vote_shares(found, labels, n_classes=2, temperature=TEMPERATURE)
    np.testing.assert_allclose(shares[0, 1], weights[2] / weights.sum(), atol=2e-6)


def test_a_rare_class_is_not_wrong_by_arithmetic():
    rng = np.random.default_rng(0)
    centers = np.eye(3)[[0] * 200 + [1] * 200 + [2] * 5]
    labels = centers.argmax(axis=1)
    found = neighbors.search(centers + 0.1 * rng.normal(size=centers.shape), k=50)
    scores = score(found, labels)
    assert scores[400:].max() < 0.05
    assert (suggest(vote_shares(found, labels, n_classes=3, temperature=TEMPERATURE), labels) == labels).all()


def test_carriers_of_the_own_group_do_not_count_as_possible_voters():
    labels, groups = np.array([0, 0, 0, 1, 1]), np.array([7, 7, 8, 9, 10])
    found = graph([[2, 3], [2, 3], [0, 1], [4, 2], [3, 2]])
    assert score(found, labels, groups)[0] == 0  # one carrier outside the patient, and it is the nearest
    assert score(found, labels)[0] == pytest.approx(0.5)


def test_nobody_to_vote_and_nobody_to_vouch():
    assert score(graph([[-1], [2], [1]]), [0, 1, 1]).tolist() == [0, 0, 0]
    assert score(graph([[1], [2], [1]]), [2, 1, 1]).tolist() == [1, 0, 0]


def test_missing_neighbours_weigh_nothing():
    found = graph([[1, 2, -1], [0, 2, -1], [0, 1, -1]])
    assert score(found, [0, 0, 1]).tolist() == [0, 0, 1]


def test_similarities_below_zero_do_not_overflow():
    found = graph([[1], [0]], [[-0.9], [-0.9]])
    shares = vote_shares(found, np.array([0, 0]), n_classes=1, temperature=1e-4)
    assert knn_score(shares, np.array([0, 0])).tolist() == [0, 0]


def test_ties_go_to_the_given_label_then_to_the_lower_class():
    shares = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.5, 0.5, 0.0]])
    assert suggest(shares, np.array([1, 0, 2])).tolist() == [1, 0, 0]


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="2 samples with neighbours and 3 labels"):
        score(graph([[1], [0]]), [0, 0, 1])
