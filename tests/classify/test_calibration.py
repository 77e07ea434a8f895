import json

import numpy as np
import pytest

from ssl_robust import metrics
from ssl_robust.classify.calibration import Calibration, fit_calibration
from ssl_robust.probes.soft import softmax

T = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])


def drawn(n, sharpened, transition, seed=0):
    """Scores whose softmax is the truth; a classifier that sharpens them; true labels and labels as given."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3)) * 1.5
    probabilities = softmax(scores)
    true = np.array([rng.choice(3, p=row) for row in probabilities])
    given = np.array([rng.choice(3, p=transition[code]) for code in true])
    return softmax(sharpened * scores), true, given


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("transition", [np.eye(3), T], ids=["right", "noisy"])
def test_a_known_temperature_is_found_through_known_noise(sharpened, transition):
    probabilities, true, given = drawn(6000, sharpened, transition)
    found = fit_calibration(probabilities, given, transition, pull=1.0)
    assert found.sharpness == pytest.approx(1 / sharpened, rel=0.1)
    assert found.n == 6000
    if sharpened != 1:
        before, after = (metrics.calibration_error(true, each) for each in (probabilities, found.apply(probabilities)))
        assert after < 0.5 * before


def test_without_the_noise_it_would_learn_to_be_unsure():
    probabilities, _, given = drawn(6000, 1.0, T)
    assert fit_calibration(probabilities, given, np.eye(3), pull=1.0).sharpness < 0.5


def test_it_is_the_minimum_of_the_formula_written_out():
    probabilities, _, given = drawn(300, 3.0, T)
    grid = np.linspace(-3, 3, 6001)
    values = []
    for logarithm in grid:
        p = probabilities ** np.exp(logarithm)
        p /= p.sum(axis=1, keepdims=True)
        likelihood = [sum(p[i, true] * T[true, given[i]] for true in range(3)) for i in range(300)]
        values.append(-np.log(likelihood).sum() + 2.0 * logarithm**2)
    found = fit_calibration(probabilities, given, T, pull=2.0)
    assert np.log(found.sharpness) == pytest.approx(grid[np.argmin(values)], abs=2e-3)


@pytest.mark.parametrize("transition", [np.eye(3), T], ids=["right", "noisy"])
def test_a_known_shift_is_found_through_known_noise_and_offsets(transition):
    probabilities, _, given = drawn(20_000, 1.0, transition)
    shifts, offsets = np.array([0.8, -0.5, -0.3]), np.array([0.2, 0.1, -0.7])
    off = softmax(np.log(probabilities) - shifts - offsets)
    found = fit_calibration(off, given, transition, pull=1.0, pull_shifts=1.0, offsets=offsets)
    np.testing.assert_allclose(np.array(found.shifts) - np.mean(found.shifts), shifts, atol=0.15)
    np.testing.assert_allclose(
        found.apply(off), softmax(found.sharpness * np.log(off) + np.array(found.shifts)), atol=1e-6
    )


def test_without_a_price_of_shifts_there_are_none():
    probabilities, _, given = drawn(300, 1.0, T)
    assert fit_calibration(probabilities, given, T, pull=1.0).shifts == ()
    heavy = fit_calibration(probabilities, given, T, pull=1.0, pull_shifts=1e7)
    np.testing.assert_allclose(heavy.shifts, 0, atol=1e-3)


def test_no_predicted_class_changes_and_rows_stay_probabilities():
    probabilities, _, _ = drawn(200, 1.0, T)
    made = Calibration(0.3, 10).apply(probabilities)
    assert (made.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(made.sum(axis=1), 1)
    np.testing.assert_allclose(Calibration(1.0, 0).apply(probabilities), probabilities, atol=1e-6)


def test_certainty_and_no_samples():
    sure = np.eye(3)[[0, 1, 2, 0]]
    found = fit_calibration(sure, np.array([0, 1, 2, 1]), np.eye(3), pull=1.0)
    assert np.isfinite(found.apply(sure)).all()
    assert fit_calibration(np.empty((0, 3)), np.empty(0, dtype=int), T, pull=1.0) == Calibration(1.0, 0)


def test_few_labels_change_little():
    probabilities, _, given = drawn(6, 4.0, T)
    assert abs(np.log(fit_calibration(probabilities, given, T, pull=1e6).sharpness)) < 1e-3


@pytest.mark.parametrize(("given", "transition"), [(np.zeros(3, int), T), (np.zeros(4, int), np.eye(2))])
def test_what_does_not_fit_is_named(given, transition):
    with pytest.raises(ValueError, match=r"probabilities \(4, 3\), labels"):
        fit_calibration(np.full((4, 3), 1 / 3), given, transition, pull=1.0)


def test_a_card_gives_it_back_and_a_broken_one_is_refused():
    for made in (Calibration(0.7, 12), Calibration(0.7, 12, (0.1, -0.1))):
        assert Calibration.read(json.loads(json.dumps(made.as_record()))) == made
    assert Calibration.read(None) == Calibration(1.0, 0)
    for broken in ({}, {"sharpness": 0}, {"sharpness": "1"}, {"sharpness": float("nan")}, [1], {"sharpness": 1.0},
                   {"sharpness": 1.0, "n": None}, {"sharpness": 1.0, "n": 2, "shifts": [None]},
                   {"sharpness": 1.0, "n": 2, "shifts": "ab"}):  # fmt: skip
        with pytest.raises(ValueError, match="impossible calibration"):
            Calibration.read(broken)
