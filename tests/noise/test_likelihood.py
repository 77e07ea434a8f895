import numpy as np
import pytest

from ssl_robust.noise.anchors import find_anchors
from ssl_robust.noise.likelihood import _centred, _Likelihood, _start, fit_noise, fit_sharpness
from ssl_robust.probes.soft import softmax
from ssl_robust.settings import defaults

SETTINGS = defaults("", "_opinion")["noise_model"]


def simulated(transition, n=4000, seed=0, clear=4.0):
    """p(true | x) of scans some of which are ambiguous, and labels drawn from it and the noise matrix."""
    rng = np.random.default_rng(seed)
    n_classes = len(transition)
    shown = rng.integers(n_classes, size=n)
    posterior = softmax(rng.normal(size=(n, n_classes)) + clear * np.eye(n_classes)[shown])
    truth = (rng.random((n, 1)) > posterior.cumsum(axis=1)).sum(axis=1).clip(max=n_classes - 1)
    given = (rng.random((n, 1)) > np.asarray(transition)[truth].cumsum(axis=1)).sum(axis=1).clip(max=n_classes - 1)
    return posterior, truth, given


def fitted(posterior, given):
    anchors = find_anchors(posterior, given, **SETTINGS["anchors"])
    return fit_noise(np.log(posterior), given, anchors, settings=SETTINGS)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_the_gradient_is_that_of_the_likelihood(n_classes):
    rng = np.random.default_rng(n_classes)
    posterior, _, given = simulated(np.eye(n_classes) * 0.7 + 0.3 / n_classes, n=150, seed=n_classes, clear=2.0)
    anchors = find_anchors(posterior, given, **SETTINGS["anchors"])
    likelihood = _Likelihood(_centred(np.log(posterior)), np.eye(n_classes)[given], anchors, SETTINGS)
    flat = _start(0.15, rng.normal(-2, 1, size=n_classes * (n_classes - 1)))
    flat = flat + rng.normal(0, 0.2, size=len(flat))
    gradient = likelihood(flat)[1]
    step = 1e-2  # the likelihood is single precision in part
    expected = [
        (8 * (likelihood(flat + step * e)[0] - likelihood(flat - step * e)[0])
         - (likelihood(flat + 2 * step * e)[0] - likelihood(flat - 2 * step * e)[0])) / (12 * step)
        for e in np.eye(len(flat))
    ]  # fmt: skip
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-2)


SYMMETRIC = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
PAIRS = np.array([[0.8, 0.2, 0], [0, 0.8, 0.2], [0.2, 0, 0.8]])
ONE_CLASS = np.array([[1, 0, 0], [0, 1, 0], [0.15, 0.15, 0.7]])


@pytest.mark.parametrize("transition", [np.eye(3), SYMMETRIC, PAIRS, ONE_CLASS], ids=["none", "even", "pairs", "one"])
def test_known_noise_is_found_again(transition):
    posterior, _, given = simulated(transition)
    found = fitted(posterior, given)
    np.testing.assert_allclose(found.transition, transition, atol=0.05)
    np.testing.assert_allclose(found.transition.sum(axis=1), 1)
    assert found.sharpness == pytest.approx(1, abs=0.2)


def test_opinions_that_are_too_weak_are_sharpened():
    posterior, _, given = simulated(SYMMETRIC)
    weak = softmax(np.log(posterior) / 2)
    found = fitted(weak, given)
    assert found.sharpness == pytest.approx(2, abs=0.4)
    np.testing.assert_allclose(found.transition, SYMMETRIC, atol=0.05)
    again = fit_sharpness(np.log(posterior) / 4, given, found, settings=SETTINGS)
    assert again.sharpness == pytest.approx(4, abs=0.8)
    assert np.array_equal(again.transition, found.transition)


def test_probabilities_mean_what_they_say():
    posterior, truth, given = simulated(PAIRS)
    found = fitted(posterior, given)
    wrong = 1 - found.posterior(np.log(posterior), given)[np.arange(len(given)), given]
    for low, high in ((0, 0.1), (0.1, 0.4), (0.4, 0.9), (0.9, 1)):
        chosen = (wrong >= low) & (wrong < high)
        assert abs(wrong[chosen].mean() - (truth != given)[chosen].mean()) < 0.08


def test_the_posterior_is_bayes_written_out():
    posterior, _, given = simulated(ONE_CLASS, n=100)
    found = fitted(posterior, given)
    got = found.posterior(np.log(posterior), given)
    for row in range(100):
        scores = np.log(posterior[row])
        prior = np.exp(found.sharpness * (scores - scores.mean()) + found.shifts)
        prior /= prior.sum()
        joint = [prior[true] * found.transition[true, given[row]] for true in range(3)]
        np.testing.assert_allclose(got[row], np.array(joint) / sum(joint), rtol=1e-6)


def test_a_start_near_the_end_ends_there():
    posterior, _, given = simulated(PAIRS, n=1000)
    anchors = find_anchors(posterior, given, **SETTINGS["anchors"])
    found = fit_noise(np.log(posterior), given, anchors, settings=SETTINGS)
    again = fit_noise(np.log(posterior), given, anchors, settings=SETTINGS, start=found)
    np.testing.assert_allclose(again.transition, found.transition, atol=0.01)
