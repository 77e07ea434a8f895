import numpy as np
import pytest

from ssl_robust.noise.hoc import hoc
from ssl_robust.records import Neighbors

SKEWED = np.array([0.35, 0.25, 0.15, 0.1, 0.06, 0.05, 0.04])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def simulated(rng, transition, prior, n=40_000):
    """True classes, labels drawn from T, and for each sample two others of its class as neighbours."""
    n_classes = len(prior)
    true = rng.choice(n_classes, n, p=prior)
    given = (rng.random(n)[:, None] > transition[true].cumsum(axis=1)).sum(axis=1).clip(max=n_classes - 1)
    indices = np.empty((n, 2), dtype=np.int64)
    for code in range(n_classes):
        rows = rng.permutation(np.flatnonzero(true == code))
        indices[rows] = np.column_stack([np.roll(rows, 1), np.roll(rows, 2)])
    return true, given, Neighbors(indices, np.ones((n, 2), dtype=np.float32))


def uneven(rng, n_classes, rate):
    """T with another rate for each class and other places to go to."""
    wrong = rng.dirichlet(np.ones(n_classes), size=n_classes) * (1 - np.eye(n_classes))
    rates = rng.uniform(rate / 2, rate, size=(n_classes, 1))
    return np.eye(n_classes) * (1 - rates) + rates * wrong / wrong.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("pseudo_samples", [0, 10])
@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_the_noise_of_an_uneven_set_is_found(n_classes, pseudo_samples, rng):
    transition = uneven(rng, n_classes, rate=0.4)
    prior = SKEWED[:n_classes] / SKEWED[:n_classes].sum()
    true, given, neighbors = simulated(rng, transition, prior)
    got = hoc(neighbors, given, n_classes=n_classes, pseudo_samples=pseudo_samples)
    # A row rests on three labels of each sample of its class.
    deviations = np.sqrt(0.25 / (3 * len(true) * prior))[:, None]
    assert (np.abs(got.transition - transition) < 12 * deviations).all()
    np.testing.assert_allclose(got.prior, np.bincount(true) / len(true), atol=0.02)
    assert got.rate == pytest.approx((given != true).mean(), abs=0.02)
    np.testing.assert_allclose(got.transition.sum(axis=1), 1)
    assert got.rate == pytest.approx(1 - got.prior @ np.diag(got.transition))


def test_the_likelihood_is_at_its_top(rng):
    """The fitted table of three labels has the moments seen: at K = 2 the model has as many numbers as the table."""
    _, given, neighbors = simulated(rng, np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([0.6, 0.4]), n=5000)
    got = hoc(neighbors, given, n_classes=2, pseudo_samples=0)
    ones = given + given[neighbors.indices].sum(axis=1)
    seen = np.bincount(ones, minlength=4) / len(ones)
    second = got.transition[:, 1]
    fitted = [got.prior @ (c * second**k * (1 - second) ** (3 - k)) for k, c in enumerate((1, 3, 3, 1))]
    np.testing.assert_allclose(fitted, seen, atol=1e-5)


def test_clean_labels_are_without_noise(rng):
    _, given, neighbors = simulated(rng, np.eye(3), np.full(3, 1 / 3), n=300)
    got = hoc(neighbors, given, n_classes=3, pseudo_samples=10)
    np.testing.assert_allclose(got.transition, np.eye(3), atol=1e-6)
    assert got.rate == pytest.approx(0, abs=1e-6)


def test_where_labels_say_nothing_no_class_is_given_away(rng):
    _, given, neighbors = simulated(rng, np.full((2, 2), 0.5), np.full(2, 0.5), n=2000)
    got = hoc(neighbors, given, n_classes=2, pseudo_samples=10)
    np.testing.assert_allclose(got.prior, 0.5, atol=0.2)


def test_a_class_without_a_label_stays_clean_and_empty(rng):
    transition = uneven(rng, 3, rate=0.3)
    _, given, neighbors = simulated(rng, transition, SKEWED[:3] / SKEWED[:3].sum(), n=5000)
    kept = [0, 2, 4]
    got = hoc(neighbors, np.array(kept)[given], n_classes=5, pseudo_samples=10)
    narrow = hoc(neighbors, given, n_classes=3, pseudo_samples=10)
    np.testing.assert_array_equal(got.transition[[1, 3]], np.eye(5)[[1, 3]])
    np.testing.assert_array_equal(got.prior[[1, 3]], 0)
    np.testing.assert_array_equal(got.transition[np.ix_(kept, kept)], narrow.transition)
    assert got.rate == narrow.rate


def test_missing_neighbors_are_labels_that_nobody_saw(rng):
    transition = np.array([[0.8, 0.2, 0.0], [0.1, 0.7, 0.2], [0.0, 0.3, 0.7]])
    true, given, neighbors = simulated(rng, transition, np.array([0.5, 0.3, 0.2]))
    indices = neighbors.indices.copy()
    indices[rng.random(len(true)) < 0.3, 1] = -1
    indices[rng.random(len(true)) < 0.1] = -1
    got = hoc(Neighbors(indices, neighbors.similarities), given, n_classes=3, pseudo_samples=10)
    np.testing.assert_allclose(got.transition, transition, atol=0.04)
    assert got.rate == pytest.approx((given != true).mean(), abs=0.02)


def test_only_the_two_nearest_count(rng):
    _, given, neighbors = simulated(rng, uneven(rng, 3, rate=0.3), np.full(3, 1 / 3), n=2000)
    wider = Neighbors(
        np.column_stack([neighbors.indices, rng.integers(2000, size=(2000, 3))]), np.ones((2000, 5), dtype=np.float32)
    )
    one, other = (hoc(each, given, n_classes=3, pseudo_samples=10) for each in (neighbors, wider))
    np.testing.assert_array_equal(one.transition, other.transition)


def test_the_order_of_samples_does_not_matter_and_nothing_is_drawn(rng):
    _, given, neighbors = simulated(rng, uneven(rng, 4, rate=0.3), np.full(4, 0.25), n=3000)
    order = rng.permutation(len(given))
    place = np.argsort(order)
    shuffled = Neighbors(place[neighbors.indices[order]], neighbors.similarities)
    first = hoc(neighbors, given, n_classes=4, pseudo_samples=10)
    for other in (
        hoc(neighbors, given, n_classes=4, pseudo_samples=10),
        hoc(shuffled, given[order], n_classes=4, pseudo_samples=10),
    ):
        np.testing.assert_array_equal(other.transition, first.transition)
        assert other.rate == first.rate


def test_renaming_the_classes_renames_the_estimate(rng):
    _, given, neighbors = simulated(rng, uneven(rng, 4, rate=0.3), np.array([0.4, 0.3, 0.2, 0.1]), n=10_000)
    names = np.array([2, 0, 3, 1])
    one = hoc(neighbors, given, n_classes=4, pseudo_samples=10)
    other = hoc(neighbors, names[given], n_classes=4, pseudo_samples=10)
    np.testing.assert_allclose(other.transition[np.ix_(names, names)], one.transition, atol=1e-3)
    np.testing.assert_allclose(other.prior[names], one.prior, atol=1e-3)
    assert other.rate == pytest.approx(one.rate, abs=1e-3)


def test_weights_are_repetitions(rng):
    _, given, neighbors = simulated(rng, uneven(rng, 3, rate=0.3), np.array([0.5, 0.3, 0.2]), n=3000)
    weights = rng.integers(0, 3, size=len(given))
    once = hoc(neighbors, given, n_classes=3, pseudo_samples=10, weights=weights)
    # The samples repeated stand first; those that only serve as neighbours follow and weigh nothing.
    rows = np.concatenate([np.repeat(np.arange(len(given)), weights), np.arange(len(given))])
    last = len(rows) - len(given)
    repeated = hoc(
        Neighbors(last + neighbors.indices[rows], neighbors.similarities),
        given[rows], n_classes=3, pseudo_samples=10, weights=np.arange(len(rows)) < last,
    )  # fmt: skip
    np.testing.assert_allclose(once.transition, repeated.transition, atol=1e-9)
    unweighted = hoc(neighbors, given, n_classes=3, pseudo_samples=10)
    assert np.abs(once.transition - unweighted.transition).max() > 1e-3


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 1, 2], [0, 0, 1]])
def test_tiny_sets_get_an_answer(labels):
    indices = np.array([[1, 2], [0, 2], [-1, -1]])
    got = hoc(Neighbors(indices, np.ones((3, 2))), np.array(labels), n_classes=3, pseudo_samples=0)
    np.testing.assert_allclose(got.transition.sum(axis=1), 1)
    assert got.prior.sum() == pytest.approx(1)
    assert -1e-9 <= got.rate <= 1


def test_one_neighbor_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 1\); expected \(N, k\) with k of at least 2"):
        hoc(Neighbors(np.zeros((3, 1), int), np.ones((3, 1))), np.array([0, 1, 0]), n_classes=2, pseudo_samples=0)
