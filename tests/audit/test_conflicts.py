import numpy as np
import pytest

from ssl_robust.audit.conflicts import settle_conflicts, sure_errors
from ssl_robust.audit.table import audit_table
from ssl_robust.noise.anchors import Anchors
from ssl_robust.noise.likelihood import NoiseFit
from ssl_robust.noise.opinion import Opinion

T = np.array([[0.8, 0.15, 0.05], [0.1, 0.9, 0.0], [0.25, 0.25, 0.5]])


def opinion_on(seen, labels):
    """What is believed of labels whose scans alone say `seen`."""
    posterior = np.asarray(seen) * T[:, labels].T
    posterior /= posterior.sum(axis=1, keepdims=True)
    return Opinion(
        posterior,
        [],
        NoiseFit(T, 1.0, np.zeros(3), np.zeros(0)),
        Anchors(np.zeros(3), np.zeros(3), np.eye(3)),
        np.ones(len(labels), bool),
    )


def test_of_the_labels_of_one_picture_all_but_one_are_wrong():
    labels, pictures = np.array([0, 1, 1, 2, 0, 0, 2]), np.array([3, 3, 3, 3, 5, 5, -1])
    assert sure_errors(labels, pictures) == 2
    assert sure_errors(labels, np.full(7, -1)) == sure_errors(labels, None) == 0


def test_two_labels_of_one_picture_as_written_out():
    seen, labels = [[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]], np.array([0, 1, 2])
    before = opinion_on(seen, labels)
    got = settle_conflicts(before, labels, np.array([4, 4, -1])).posterior
    joint = np.array([0.6 * T[0, 0] * T[0, 1], 0.3 * T[1, 0] * T[1, 1], 0.1 * T[2, 0] * T[2, 1]])
    np.testing.assert_allclose(got[:2], np.tile(joint / joint.sum(), (2, 1)), rtol=1e-6)
    assert np.array_equal(got[2], before.posterior[2])
    wrong = 1 - got[[0, 1], [0, 1]]
    assert wrong.sum() >= 1  # one of the two at least


def test_a_label_counts_once_however_often_it_was_copied():
    seen = [[0.6, 0.3, 0.1]] * 6
    two = settle_conflicts(opinion_on(seen[:2], np.array([0, 1])), np.array([0, 1]), np.zeros(2, dtype=int))
    labels = np.array([0, 1, 1, 1, 1, 1])
    many = settle_conflicts(opinion_on(seen, labels), labels, np.zeros(6, dtype=int))
    np.testing.assert_allclose(many.posterior, np.tile(two.posterior[:1], (6, 1)), rtol=1e-6)


def test_views_of_copies_that_differ_are_averaged():
    seen, labels = [[0.7, 0.2, 0.1], [0.3, 0.5, 0.2]], np.array([0, 1])
    got = settle_conflicts(opinion_on(seen, labels), labels, np.zeros(2, dtype=int)).posterior
    prior = [opinion_on(seen, labels).posterior[row] / np.maximum(T[:, labels[row]], 1e-12) for row in range(2)]
    joint = np.sqrt(prior[0] * prior[1]) * T[:, 0] * T[:, 1]
    np.testing.assert_allclose(got, np.tile(joint / joint.sum(), (2, 1)), rtol=1e-5)


@pytest.mark.parametrize("pictures", [[-1, -1, -1], [0, 0, -1], [0, 1, 2]])
def test_pictures_under_one_label_stay_as_they_are(pictures):
    labels = np.array([0, 0, 1])
    before = opinion_on([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.2, 0.2, 0.6]], labels)
    assert np.array_equal(settle_conflicts(before, labels, np.array(pictures)).posterior, before.posterior)


@pytest.fixture
def three(few_draws):
    """400 samples of three classes that overlap a little, 10 % of the labels wrong."""
    rng = np.random.default_rng(0)
    truth = np.arange(400) % 3
    vectors = rng.normal(size=(3, 16))[truth] + rng.normal(size=(400, 16))
    return vectors, np.where(rng.random(400) < 0.1, (truth + rng.integers(1, 3, size=400)) % 3, truth), truth


def test_copies_under_the_same_wrong_label_do_not_clear_each_other(three):
    vectors, labels, truth = three
    before = audit_table(vectors, labels)["score"].to_numpy()
    wrong = np.flatnonzero(labels != truth)
    for row in wrong[before[wrong] > 0.95][:3]:
        more, given = np.vstack([vectors, *[vectors[row : row + 1]] * 4]), np.append(labels, [labels[row]] * 4)
        after = audit_table(more, given)["score"].to_numpy()
        assert after[row] > before[row] - 1e-2
        np.testing.assert_allclose(after[-4:], after[row], atol=1e-6)


def test_a_picture_under_two_labels_is_suspect_under_the_wrong_one(three):
    vectors, labels, truth = three
    row = int(np.flatnonzero(labels == truth)[0])
    other = (truth[row] + 1) % 3
    table = audit_table(np.vstack([vectors, vectors[row : row + 1]]), np.append(labels, other))
    assert table["p_mislabeled"][400] > 0.5 > table["p_mislabeled"][row]
    assert table["suggested_label"][400] == truth[row]
    assert table["p_mislabeled"][[row, 400]].sum() > 0.999
