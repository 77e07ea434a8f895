import numpy as np
import pytest

from ssl_robust import probes


def clusters(n, seed, n_classes=3, dim=8):
    rng = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(99).normal(size=(n_classes, dim))
    labels = rng.integers(n_classes, size=n)
    return (centres[labels] + rng.normal(size=(n, dim))).astype(np.float32), labels


def test_knn_equals_the_formula_written_out():
    vectors, labels = clusters(40, 0)
    queries, _ = clusters(7, 1)
    got = probes.knn_predict(vectors, labels, queries, k=5, n_classes=3, temperature=0.1)
    unit, unit_queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (vectors, queries))
    for row, similarities in enumerate(unit_queries @ unit.T):
        nearest = np.argsort(-similarities)[:5]
        weights = np.exp(similarities[nearest] / 0.1)
        expected = [weights[labels[nearest] == code].sum() / weights.sum() for code in range(3)]
        np.testing.assert_allclose(got[row], expected, rtol=1e-4, atol=1e-6)


def test_knn_ignores_unlabelled_and_survives_few_references_and_a_small_temperature():
    vectors, labels = clusters(6, 0)
    labels[::2] = -1
    got = probes.knn_predict(vectors, labels, vectors, k=50, n_classes=3, temperature=1e-3)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(got[1::2].argmax(1), labels[1::2])
    with pytest.raises(ValueError, match="nobody to vote"):
        probes.knn_predict(vectors, np.full(6, -1), vectors, k=1, n_classes=3, temperature=1)
    with pytest.raises(ValueError, match=r"6 vectors.*\(5,\)"):
        probes.knn_predict(vectors, labels[:5], vectors, k=1, n_classes=3, temperature=1)


def test_logistic_probe_separates_clusters_and_is_deterministic():
    vectors, labels = clusters(120, 0)
    test_vectors, test_labels = clusters(60, 1)
    got = probes.logistic_probe(vectors, labels, test_vectors, n_classes=3, seed=0)
    assert (got.argmax(1) == test_labels).mean() > 0.9
    np.testing.assert_array_equal(got, probes.logistic_probe(vectors, labels, test_vectors, n_classes=3, seed=0))


def test_logistic_probe_does_not_depend_on_the_scale_of_a_feature():
    vectors, labels = clusters(60, 0)
    scale = 10.0 ** np.arange(-4, 4)
    got = probes.logistic_probe(vectors, labels, vectors, n_classes=3, seed=0)
    scaled = probes.logistic_probe(vectors * scale, labels, vectors * scale, n_classes=3, seed=0)
    np.testing.assert_allclose(got, scaled, atol=1e-2)


def test_logistic_probe_weights_classes_alike():
    rng = np.random.default_rng(0)
    labels = (np.arange(400) % 20 == 0).astype(int)  # one in twenty
    vectors = rng.normal(size=(400, 2)) + labels[:, None]
    got = probes.logistic_probe(vectors, labels, vectors, n_classes=2, seed=0).argmax(1)
    assert got[labels == 1].mean() > 0.6


def test_groups_choose_a_stronger_penalty_when_patients_can_be_memorised():
    """With 60 features that tell patients apart, only folds by patient see that memorising them does not help."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 6)
    labels = rng.integers(2, size=100)[groups]
    vectors = rng.normal(size=(100, 60))[groups] + 0.3 * rng.normal(size=(600, 60))
    vectors[:, 0] += 1.5 * labels
    alone = probes.quick._best_strength(vectors, labels, np.arange(600), n_classes=2, seed=0)
    together = probes.quick._best_strength(vectors, labels, groups, n_classes=2, seed=0)
    assert together < alone


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [0, 0, 1, 2], [0, 1, 2, -1], [0, -1, -1, -1]])
def test_logistic_probe_of_hardly_any_samples(labels):
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    got = probes.logistic_probe(vectors, np.array(labels), vectors, n_classes=4, seed=0)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-5)
    assert (got[:, 3] == 0).all()


def test_logistic_probe_needs_a_label():
    with pytest.raises(ValueError, match="nothing to fit"):
        probes.logistic_probe(np.ones((2, 2)), np.array([-1, -1]), np.ones((1, 2)), n_classes=2, seed=0)
