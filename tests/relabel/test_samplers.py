"""What every sampler must keep, whoever wrote it, and what each formula says: a YAML in configs/sampler is found."""

import numpy as np
import pytest
from pools import K, pool, scans

from ssl_robust.relabel.head import train_head
from ssl_robust.relabel.sampler import score
from ssl_robust.settings import choices, defaults

FIND_ERRORS = ("audit", "expected_gain", "joint")


@pytest.fixture(scope="module")
def easy():
    return scans()


class Given:
    """A pool with an opinion that is written down."""

    def __init__(self, labels, *, posterior=None, probabilities=None):
        self.labels, self.n_classes, self.seed = np.array(labels), K, 0
        self.posterior, self.probabilities = posterior, probabilities
        self.sizes = None if posterior is None else np.maximum(posterior.sum(axis=0), 1)

    def __len__(self):
        return len(self.labels)


def formula(name, given, **values):
    module = __import__(f"ssl_robust.relabel.samplers.{name}", fromlist=["score"])
    return module.score(given, **values)


@pytest.mark.parametrize("name", choices("sampler"))
def test_a_score_for_every_scan_but_those_that_were_answered(easy, name):
    known, _, given = easy
    before = given.copy()
    found = score(pool(known, given, answered=[3, 7]), defaults("sampler", name))
    assert found.shape == (len(given),)
    assert np.isfinite(found).all()
    assert np.flatnonzero(found < 0).tolist() == [3, 7]
    assert found.max() > 0
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(score(pool(known, given, answered=[3, 7]), defaults("sampler", name)), found)


@pytest.mark.parametrize("name", FIND_ERRORS)
def test_wrong_labels_come_first(easy, name):
    known, truth, given = easy
    found = score(pool(known, given), defaults("sampler", name))
    wrong = given != truth
    assert np.mean(found[wrong, None] > found[~wrong]) > 0.95


def test_random_is_another_order_with_another_seed(easy):
    known, _, given = easy
    first, second = (score(pool(known, given, seed=seed), defaults("sampler", "random")) for seed in (0, 1))
    assert (np.argsort(first) != np.argsort(second)).any()


P = np.array([[0.5, 0.3, 0.2], [0.98, 0.01, 0.01], [0.4, 0.4, 0.2]])


def test_uncertainty_by_its_formulas():
    given = Given([0, 0, 0], probabilities=P)
    np.testing.assert_allclose(formula("entropy", given), [-sum(p * np.log(p) for p in row) / np.log(3) for row in P])
    np.testing.assert_allclose(formula("least_confidence", given), [0.5, 0.02, 0.6])
    np.testing.assert_allclose(formula("margin", given), [0.8, 0.03, 1.0])


def test_joint_is_the_likeliest_other_class():
    np.testing.assert_allclose(formula("joint", Given([0, 1, 2], posterior=P)), [0.3, 0.98, 0.4])


def test_expected_gain_by_its_formula_and_its_limit():
    given = Given([0, 1, 2], posterior=P)
    weights = np.sqrt(3 / (3 * np.maximum(P.sum(axis=0), 1)))
    worth = [
        0.3 * max(weights[0], weights[1]) + 0.2 * max(weights[0], weights[2]),
        0.98 * max(weights[1], weights[0]) + 0.01 * max(weights[1], weights[2]),
        0.4 * max(weights[2], weights[0]) + 0.4 * max(weights[2], weights[1]),
    ]
    np.testing.assert_allclose(formula("expected_gain", given, power=0.5), np.array(worth) / weights.max())
    np.testing.assert_allclose(formula("expected_gain", given, power=0.0), [0.5, 0.99, 0.8])  # p(wrong)


def test_k_centre_chooses_the_farthest_one_by_one():
    angles = np.array([0.0, 0.1, 1.5, 3.0, 4.5, 4.6])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    known, _, _ = scans(6)
    known = type(known)(vectors, known.groups, known.clusters)
    found = score(pool(known, np.zeros(6, dtype=int), answered=[0], wanted=2), defaults("sampler", "k_centre"))
    rows = vectors - vectors.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distance = ((rows[:, None] - rows) ** 2).sum(axis=2)
    first = int(distance[0].argmax())
    second = int(np.minimum(distance[0], distance[first]).argmax())
    assert np.argsort(-found)[:2].tolist() == [first, second]
    assert found[first] == pytest.approx((1 + distance[0, first] / 4) / 2, abs=1e-5)


def head(**values):
    made = defaults("sampler", "bald")
    return {name: value for name, value in (made | values).items() if name != "_target_"}


def test_bald_needs_dropout_and_is_less_than_the_entropy(easy):
    known, _, given = easy
    with_dropout = score(pool(known, given), defaults("sampler", "bald"))
    without = score(pool(known, given), defaults("sampler", "bald") | {"dropout": 0.0})
    assert with_dropout.max() > 0.01
    assert without.max() < 1e-5
    drawn = train_head(known.vectors, given, n_classes=K, seed=0, **head()).drawn
    p = drawn.mean(axis=0)
    assert (with_dropout <= -(p * np.log(p)).sum(axis=1) / np.log(K)).all()


def test_vog_is_the_deviation_over_the_last_five_epochs_and_more_for_rare_classes(easy):
    known, truth, _ = easy
    keep = np.flatnonzero((truth > 0) | (np.cumsum(truth == 0) <= 20))
    known = type(known)(known.vectors[keep], np.arange(len(keep)), known.clusters[keep])
    labels = truth[keep]
    settings = defaults("sampler", "vog_minority")
    values = {name: value for name, value in settings.items() if name not in ("_target_", "power")}
    epochs = train_head(known.vectors, labels, n_classes=K, seed=0, **values).epochs
    assert len(epochs) == 5
    deviation = np.std([each[np.arange(len(labels)), labels] for each in epochs], axis=0)
    expected = deviation * (np.abs(known.vectors).sum(axis=1) + 1) / (known.vectors.shape[1] + 1)
    plain = score(pool(known, labels), settings | {"power": 0.0})
    np.testing.assert_allclose(plain, expected / expected.max(), atol=1e-3)
    weighted = expected * len(labels) / (K * np.bincount(labels)[labels])
    rare_first = score(pool(known, labels), settings)
    np.testing.assert_allclose(rare_first, weighted / weighted.max(), atol=1e-3)  # sums in single precision


def test_training_a_head_leaves_the_random_numbers_of_others_alone(easy):
    import torch

    known, _, given = easy
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_head(known.vectors, given, n_classes=K, seed=0, **head(epochs=1))
    assert torch.equal(torch.rand(3), expected)
