import numpy as np
import pytest

from ssl_robust.study.difficulty import measure, separability


def blobs(distance, *, n=3000, dim=4):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    vectors = rng.normal(size=(n, dim))
    vectors[:, 0] += distance * labels
    return vectors, labels


def test_separability_of_two_gaussians_is_a_quarter_of_the_squared_distance():
    # S_W = I, and S_B = p (1 - p) d^2 along one axis.
    vectors, labels = blobs(3.0)
    assert separability(vectors, labels) == pytest.approx(9 / 4, rel=0.06)


def test_separability_is_the_trace_and_grows_with_the_distance():
    vectors, labels = blobs(2.0)
    means = np.stack([vectors[labels == code].mean(axis=0) for code in (0, 1)])
    within = (vectors - means[labels]).T @ (vectors - means[labels]) / len(vectors)
    between = sum(0.5 * np.outer(m - means.mean(axis=0), m - means.mean(axis=0)) for m in means)
    expected = np.trace(np.linalg.solve(within, between))
    assert separability(vectors, labels) == pytest.approx(expected, rel=0.02)  # but for the shrinking
    assert separability(*blobs(0.5)) < separability(*blobs(1.0)) < separability(*blobs(4.0))


def test_more_dimensions_than_scans_and_dead_dimensions_are_finite():
    vectors, labels = blobs(3.0, n=20, dim=50)
    vectors[:, -1] = 7.0
    assert 0 < separability(vectors, labels) < 100


def test_patients_do_not_vote_on_their_own_scans():
    rng = np.random.default_rng(0)
    patients = np.repeat(rng.normal(size=(40, 16)), 4, axis=0)  # four equal scans a patient, labels by lot
    labels = np.repeat(rng.permutation(np.arange(40) % 2), 4)
    alone = measure(patients, labels, np.arange(160))
    whole = measure(patients, labels, np.repeat(np.arange(40), 4))
    assert alone["grouping"] > whole["grouping"]
    assert whole["knn_balanced_accuracy"] < 0.65


def test_clear_classes_are_easy_and_the_counts_are_told():
    vectors, labels = blobs(30.0, n=90)
    vectors, labels = vectors[:80], np.where(np.arange(80) < 60, labels[:80], 0)
    vectors[labels == 0, 0] = -30
    found = measure(np.vstack([vectors, vectors[:1]]), np.append(labels, -1), np.arange(81))
    assert found["knn_balanced_accuracy"] == 1.0
    assert found["grouping"] == 1.0
    assert found["n_classes"] == 2
    assert found["imbalance"] == pytest.approx(50 / 30)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="2 vectors, 3 labels and 2 groups"):
        measure(np.ones((2, 2)), np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(ValueError, match="1 classes"):
        measure(np.ones((2, 2)), np.zeros(2, int), np.zeros(2, int))
