"""What every score must keep, whoever wrote it: each YAML in configs/score is found and tried."""

import numpy as np
import pytest

from ssl_robust.audit.scores.chosen import packaged, score
from ssl_robust.settings import choices, defaults

SCORES = [name for name in choices("score") if name != "ensemble"]
N, K, N_WRONG = 150, 3, 12
# Of a clean label and of a wrong one, so that what a run records is as easy as the vectors are.
LOSS, MARGIN, VOG = (0.1, 3.0), (4.0, -2.0), (0.01, 0.2)


def settings(name):
    return packaged(name, defaults("neighbors", "auto"))


@pytest.fixture
def easy(make_evidence):
    """Three clusters with some labels turned; whatever a score may look at tells which. -> evidence, wrong, parts."""
    rng = np.random.default_rng(0)
    truth = np.arange(N) % K
    vectors = np.eye(K)[truth] + 0.15 * rng.normal(size=(N, K))
    wrong = np.zeros(N, dtype=bool)
    wrong[rng.choice(N, N_WRONG, replace=False)] = True
    labels = np.where(wrong, (truth + rng.integers(1, K, N)) % K, truth)
    logits = 6 * vectors + 0.3 * rng.normal(size=(N, K))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def recorded(values, *shape):
        means = np.where(wrong, values[1], values[0]).reshape(N, *(1 for _ in shape))
        return means * rng.uniform(0.8, 1.2, (N, *shape))

    dynamics = {"loss": recorded(LOSS, 6), "margin": recorded(MARGIN, 6), "vog": recorded(VOG)}
    parts = {
        "vectors": vectors, "labels": labels, "groups": np.arange(N) // 2,
        "probabilities": probabilities.astype(np.float32), "dynamics": dynamics,
    }  # fmt: skip
    return make_evidence(**parts), wrong, parts


@pytest.mark.parametrize("name", SCORES)
def test_planted_errors_rank_first(easy, name):
    evidence, wrong, _ = easy
    found = score(evidence, settings(name))
    # Not all above all: a right label whose nearest neighbour is a wrong one is suspect by some formulas.
    assert np.mean(found[wrong, None] > found[~wrong]) > 0.97


@pytest.mark.parametrize("name", SCORES)
def test_in_range_and_the_same_again_without_touching_the_evidence(easy, name):
    evidence, _, _ = easy
    before = evidence.probabilities.copy(), {key: value.copy() for key, value in evidence.dynamics.items()}
    found = score(evidence, settings(name))
    assert found.shape == (N,)
    assert found.dtype == np.float64
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(score(evidence, settings(name)), found)
    np.testing.assert_array_equal(evidence.probabilities, before[0])
    for key, value in before[1].items():
        np.testing.assert_array_equal(evidence.dynamics[key], value)


@pytest.mark.parametrize("name", SCORES)
def test_another_order_of_the_samples_is_another_order_of_the_scores(easy, make_evidence, name):
    evidence, _, parts = easy
    order = np.random.default_rng(1).permutation(N)
    moved = {key: value[order] for key, value in parts.items() if key != "dynamics"}
    moved["dynamics"] = {key: value[order] for key, value in parts["dynamics"].items()}
    again = score(make_evidence(**moved), settings(name))
    np.testing.assert_allclose(again, score(evidence, settings(name))[order], atol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_other_names_of_the_classes_change_nothing(easy, make_evidence, name):
    evidence, _, parts = easy
    renamed = np.array([2, 0, 1])
    other = {**parts, "labels": renamed[parts["labels"]], "probabilities": np.empty_like(parts["probabilities"])}
    other["probabilities"][:, renamed] = parts["probabilities"]
    again = score(make_evidence(**other), settings(name))
    np.testing.assert_allclose(again, score(evidence, settings(name)), atol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_a_class_nobody_has_and_a_class_of_one_do_no_harm(easy, make_evidence, name):
    _, _, parts = easy
    labels = parts["labels"].copy()
    labels[7] = 3  # alone in its class
    wider = np.pad(parts["probabilities"], ((0, 0), (0, 2)))  # and never predicted
    found = score(make_evidence(**{**parts, "labels": labels, "probabilities": wider}, n_classes=5), settings(name))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found <= 1).all()


@pytest.mark.parametrize("name", SCORES)
def test_samples_without_a_neighbour_do_no_harm(make_evidence, name):
    """Two samples, one group: nobody outside of it is there to ask."""
    dynamics = {"loss": np.ones((2, 3)), "margin": np.zeros((2, 3)), "vog": np.ones(2)}
    probabilities = np.full((2, 2), 0.5, dtype=np.float32)
    evidence = make_evidence(
        np.eye(2), [0, 1], [0, 0], n_classes=2, k=1, probabilities=probabilities, dynamics=dynamics
    )
    found = score(evidence, settings(name))
    assert found[0] == found[1]
    assert 0 <= found[0] <= 1
