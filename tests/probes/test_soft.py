import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from ssl_robust.neighbors import UnitRows
from ssl_robust.probes.coordinates import linear_coordinates
from ssl_robust.probes.soft import SoftProbe, softmax

N, K = 200, 3


@pytest.fixture
def made():
    """Vectors of three classes that overlap, their labels, and folds."""
    rng = np.random.default_rng(0)
    labels = rng.integers(K, size=N)
    vectors = rng.normal(size=(K, 8))[labels] + rng.normal(size=(N, 8))
    return UnitRows(vectors.astype(np.float32)), labels, rng.integers(4, size=N)


def probe_of(unit, folds, fitted_on=None):
    fitted_on = np.arange(len(unit)) if fitted_on is None else fitted_on
    return SoftProbe(
        unit, linear_coordinates(unit, np.arange(len(unit)), n_coordinates=8), folds, fitted_on, np.ones(len(fitted_on))
    )


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_hard_labels_give_what_scikit_learn_gives(made, penalty):
    unit, labels, folds = made
    got = probe_of(unit, folds).out_of_fold(np.eye(K)[labels], penalty=penalty)
    seen = linear_coordinates(unit, np.arange(len(unit)), n_coordinates=8).of(unit.take(slice(None)))
    for fold in range(4):
        inside = folds != fold
        theirs = LogisticRegression(C=1 / penalty, max_iter=1000, tol=1e-8).fit(seen[inside], labels[inside])
        np.testing.assert_allclose(got[~inside], theirs.predict_proba(seen[~inside]), atol=1e-2)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-5)


def test_soft_labels_minimise_the_loss_written_out(made):
    unit, _, folds = made
    shares = np.random.default_rng(1).dirichlet([1, 1, 1], size=N)
    got = probe_of(unit, folds).out_of_fold(shares, penalty=2.0)
    seen = linear_coordinates(unit, np.arange(len(unit)), n_coordinates=8).of(unit.take(slice(None))).astype(np.float64)
    inside = folds != 0

    def predicted(flat, rows):
        weights = flat.reshape(9, K)
        return softmax(seen[rows] @ weights[:8] + weights[8])

    def loss(flat):
        entropy = -(shares[inside] * np.log(predicted(flat, inside))).sum()
        return entropy + 2.0 / 2 * (flat.reshape(9, K)[:8] ** 2).sum()

    best = minimize(loss, np.zeros(9 * K)).x
    np.testing.assert_allclose(got[~inside], predicted(best, ~inside), atol=5e-3)


def test_the_own_fold_has_no_say(made):
    unit, labels, folds = made
    turned = np.where(folds == 2, (labels + 1) % K, labels)
    before = probe_of(unit, folds).out_of_fold(np.eye(K)[labels], penalty=1.0)
    after = probe_of(unit, folds).out_of_fold(np.eye(K)[turned], penalty=1.0)
    assert np.array_equal(after[folds == 2], before[folds == 2])
    assert np.abs(after[folds != 2] - before[folds != 2]).max() > 0.05


def test_rows_that_are_not_fitted_to_are_seen_by_the_model_without_their_fold(made):
    unit, labels, folds = made
    twice = UnitRows(np.tile(unit.take(slice(None)), (2, 1)))
    labels, folds = np.tile(labels, 2), np.tile(folds, 2)
    first = np.arange(N)
    before = probe_of(twice, folds, first).out_of_fold(np.eye(K)[labels], penalty=1.0)
    np.testing.assert_allclose(before[N:], before[:N], atol=1e-6)  # as their copies, which were
    turned = labels.copy()
    turned[N:] = (turned[N:] + 1) % K
    assert np.array_equal(probe_of(twice, folds, first).out_of_fold(np.eye(K)[turned], penalty=1.0), before)


def test_a_later_call_begins_where_the_first_ended_and_comes_to_the_same(made):
    unit, labels, folds = made
    probe = probe_of(unit, folds)
    probe.out_of_fold(np.eye(K)[(labels + 1) % K], penalty=1.0)
    again = probe.out_of_fold(np.eye(K)[labels], penalty=1.0)
    np.testing.assert_allclose(again, probe_of(unit, folds).out_of_fold(np.eye(K)[labels], penalty=1.0), atol=2e-2)


def test_where_nobody_else_is_all_classes_are_as_likely(made):
    unit, labels, _ = made
    got = probe_of(unit, np.zeros(N, dtype=int)).out_of_fold(np.eye(K)[labels], penalty=1.0)
    np.testing.assert_allclose(got, 1 / K, atol=1e-6)
