import numpy as np
import pytest

from ssl_robust.noise.confident_joint import confident_counts, confident_joint


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def classifier(rng, n=600, n_classes=4, rate=0.2, sharpness=2.0):
    """Labels of which some are wrong, and the probabilities of a classifier that mostly sees the true ones."""
    true = rng.choice(n_classes, n, p=np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum())
    given = np.where(rng.random(n) < rate, rng.integers(n_classes, size=n), true)
    logits = rng.normal(size=(n, n_classes)) + sharpness * np.eye(n_classes)[true]
    probabilities = np.exp(logits)
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32), given


def by_the_book(probabilities, labels, n_classes):
    """Equations 1 to 3, sample by sample; (given, true) counts and (true, given) joint."""
    thresholds = [probabilities[labels == j, j].mean() for j in range(n_classes)]
    counts = np.zeros((n_classes, n_classes))
    for row, label in zip(probabilities, labels, strict=True):
        sure = [j for j in range(n_classes) if row[j] >= thresholds[j]]
        if sure:
            counts[label, max(sure, key=lambda j: row[j])] += 1
    joint = np.zeros((n_classes, n_classes))
    for i in range(n_classes):
        for j in range(n_classes):
            joint[j, i] = counts[i, j] / counts[i].sum() * (labels == i).sum() / len(labels)
    return counts, joint


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_it_is_the_formula(n_classes, rng):
    probabilities, labels = classifier(rng, n_classes=n_classes)
    counts, joint = by_the_book(probabilities.astype(np.float64), labels, n_classes)
    np.testing.assert_array_equal(confident_counts(probabilities, labels, np.ones(len(labels))), counts)
    got = confident_joint(probabilities, labels, n_classes=n_classes)
    np.testing.assert_allclose(got.prior[:, None] * got.transition, joint, atol=1e-12)
    np.testing.assert_allclose(got.transition.sum(axis=1), 1)
    assert got.rate == pytest.approx(1 - np.trace(joint))


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_it_is_cleanlabs(n_classes, rng):
    count = pytest.importorskip("cleanlab.count")
    probabilities, labels = classifier(rng, n=3000, n_classes=n_classes)
    # Of several classes whose threshold is reached cleanlab takes the likeliest of all classes, reached or not.
    reached = probabilities >= count.get_confident_thresholds(labels, probabilities)
    agreed = (reached.sum(axis=1) < 2) | reached[np.arange(len(labels)), probabilities.argmax(axis=1)]
    while not agreed.all():  # the thresholds move a little with each sample that goes
        probabilities, labels = probabilities[agreed], labels[agreed]
        reached = probabilities >= count.get_confident_thresholds(labels, probabilities)
        agreed = (reached.sum(axis=1) < 2) | reached[np.arange(len(labels)), probabilities.argmax(axis=1)]
    theirs = count.compute_confident_joint(labels, probabilities, calibrate=False)
    np.testing.assert_array_equal(confident_counts(probabilities, labels, np.ones(len(labels))), theirs)
    got = confident_joint(probabilities, labels, n_classes=n_classes)
    # Theirs is rounded to whole samples.
    np.testing.assert_allclose(
        (got.prior[:, None] * got.transition).T,
        count.estimate_joint(labels, probabilities),
        rtol=0,
        atol=1 / len(labels),
    )


def test_of_several_thresholds_reached_the_likeliest_counts():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.75, 0.1, 0.15]])
    counts = confident_counts(probabilities, np.array([0, 0, 1, 1, 2]), np.ones(5))
    # Thresholds 0.8, 0.25, 0.15: the third row reaches those of 1 and 2, not that of 0, which is likelier; the fourth
    # reaches none.
    np.testing.assert_array_equal(counts, [[2, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_a_sure_classifier_finds_the_noise(rng):
    true = rng.integers(3, size=3000)
    given = np.where(rng.random(3000) < 0.3, (true + 1) % 3, true)
    got = confident_joint(np.eye(3)[true] * 0.97 + 0.01, given, n_classes=3)
    np.testing.assert_allclose(got.transition, 0.7 * np.eye(3) + 0.3 * np.roll(np.eye(3), 1, axis=1), atol=0.04)
    assert got.rate == pytest.approx((given != true).mean(), abs=1e-9)


def test_weights_are_repetitions(rng):
    probabilities, labels = classifier(rng)
    weights = rng.integers(0, 3, size=len(labels))
    once = confident_joint(probabilities, labels, n_classes=4, weights=weights)
    rows = np.repeat(np.arange(len(labels)), weights)
    repeated = confident_joint(probabilities[rows], labels[rows], n_classes=4)
    np.testing.assert_allclose(once.transition, repeated.transition)
    np.testing.assert_allclose(once.prior, repeated.prior)


def test_a_class_without_a_label_stays_clean_and_empty(rng):
    probabilities, labels = classifier(rng, n_classes=3)
    wider = np.insert(probabilities, 1, 0.0, axis=1)
    got = confident_joint(wider, np.array([0, 2, 3])[labels], n_classes=4)
    np.testing.assert_array_equal(got.transition[1], [0, 1, 0, 0])
    assert got.prior[1] == 0
    narrow = confident_joint(probabilities, labels, n_classes=3)
    np.testing.assert_allclose(got.transition[np.ix_([0, 2, 3], [0, 2, 3])], narrow.transition)
    assert got.rate == narrow.rate


def test_a_class_that_the_classifier_never_saw_draws_nobody():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.6, 0.4, 0.0], [0.5, 0.5, 0.0]])
    got = confident_joint(probabilities, np.array([0, 0, 1, 2, 1]), n_classes=3)
    # One sample of the class itself counts as right; zero self-confidence must not make every other sample one.
    assert got.transition[2, :2].sum() == 0


def test_probabilities_all_alike_reach_their_own_mean():
    probabilities = np.full((30, 3), 1 / 3, dtype=np.float32)
    counts = confident_counts(probabilities, np.arange(30) % 3, np.ones(30))
    assert counts[:, 0].tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [(np.ones((4, 2)) / 2, r"\(4, 2\); expected \(N, 3\)"), (np.full((4, 3), np.nan), "negative or no number")],
)
def test_probabilities_that_cannot_be_are_refused(probabilities, says):
    with pytest.raises(ValueError, match=says):
        confident_joint(probabilities, np.array([0, 1, 2, 0]), n_classes=3)
