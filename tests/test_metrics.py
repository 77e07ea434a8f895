import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from ssl_robust import metrics


def one_hot(predicted, n_classes):
    return np.eye(n_classes)[predicted]


def test_classification_of_a_known_answer():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    got = metrics.classification(labels, one_hot(predicted, 3))
    assert got["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert got["accuracy"] == pytest.approx(4 / 6)
    assert got["worst_class_recall"] == 0
    # F1 per class: 2*2/(2*2+1+1), 2*2/(2*2+1), 0
    assert got["macro_f1"] == pytest.approx((4 / 6 + 4 / 5 + 0) / 3)
    assert got["ece"] == pytest.approx(2 / 6)


def test_absent_class_leaves_the_means_over_classes():
    labels = np.array([0, 0, 2, 2])
    got = metrics.classification(labels, one_hot(np.array([0, 1, 2, 2]), 4))
    assert got["balanced_accuracy"] == pytest.approx(0.75)
    assert got["worst_class_recall"] == pytest.approx(0.5)
    assert np.isfinite(got["auroc"])


def test_auroc_of_one_class_is_undefined():
    assert np.isnan(metrics.classification(np.array([1, 1]), np.full((2, 3), 1 / 3))["auroc"])


def test_binary_auroc_equals_the_usual_one():
    rng = np.random.default_rng(0)
    p = rng.random(50)
    labels = (rng.random(50) < p).astype(int)
    from sklearn.metrics import roc_auc_score

    got = metrics.classification(labels, np.stack([1 - p, p], axis=1))
    assert got["auroc"] == pytest.approx(roc_auc_score(labels, p))


def test_calibration_error_of_a_known_answer():
    # Bin (0.6, 0.667]: two samples at 0.65, one right -> |1 - 1.3|; bin (0.867, 0.933]: two at 0.9, both right -> 0.2.
    probabilities = np.array([[0.65, 0.35], [0.65, 0.35], [0.9, 0.1], [0.1, 0.9]])
    labels = np.array([0, 1, 0, 1])
    assert metrics.calibration_error(labels, probabilities) == pytest.approx((0.3 + 0.2) / 4)
    assert metrics.calibration_error(labels[2:], one_hot(labels[2:], 2)) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6))
def test_balanced_accuracy_is_scikit_learns_and_order_does_not_matter(seed, n_classes):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=30)])
    probabilities = rng.dirichlet(np.ones(n_classes), size=len(labels))
    got = metrics.classification(labels, probabilities)
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, probabilities.argmax(1)))
    order = rng.permutation(len(labels))
    assert metrics.classification(labels[order], probabilities[order]) == pytest.approx(got)


def test_classification_states_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\(3,\).*\(2, 2\)"):
        metrics.classification(np.zeros(3, int), np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"\[0, 2\]"):
        metrics.classification(np.array([0, 2]), np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"row 1 of the probabilities holds NaN"):
        metrics.classification(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, 0.5]]))


def detected(is_wrong, scores):
    """The estimates, without their intervals."""
    got = metrics.detection(is_wrong, scores, n_resamples=20, level=0.9, seed=0)
    precision_at = {name: each.estimate for name, each in got.pop("precision_at").items()}
    return {name: each.estimate for name, each in got.items()} | {"precision_at": precision_at}


def test_detection_of_a_known_answer():
    is_wrong = np.zeros(20, dtype=bool)
    is_wrong[[0, 1, 5]] = True
    got = detected(is_wrong, -np.arange(20.0))
    assert got["precision_at"] == {"10": pytest.approx(0.3), "n_wrong": pytest.approx(2 / 3)}
    assert got["average_precision"] == pytest.approx((1 + 1 + 3 / 6) / 3)
    assert got["auroc"] == pytest.approx(1 - 3 / (3 * 17))


def test_detection_counts_ties_at_their_mean():
    is_wrong = np.array([True] * 5 + [False] * 15)
    got = detected(is_wrong, np.ones(20))
    assert got["auroc"] == 0.5
    assert got["precision_at"] == {"10": 0.25, "n_wrong": 0.25}


def test_detection_draws_whole_patients():
    rng = np.random.default_rng(0)
    is_wrong, scores, groups = rng.random(60) < 0.3, rng.random(60), np.repeat([0, 1, 2], [4, 6, 50])
    got = metrics.detection(is_wrong, scores, groups=groups, n_resamples=50, level=0.9, seed=0)
    assert (
        got["auroc"] == metrics.detection(is_wrong, scores, groups=groups, n_resamples=50, level=0.9, seed=0)["auroc"]
    )
    assert all(each.low <= each.high for each in (*got["precision_at"].values(), got["auroc"]))


def test_detection_without_any_error_is_undefined_and_refuses_nan():
    assert np.isnan(detected(np.zeros(3, bool), np.arange(3.0))["auroc"])
    with pytest.raises(ValueError, match="1 of 2"):
        detected(np.array([True, False]), np.array([np.nan, 1]))


def test_bootstrap_over_patients_is_wider_than_over_images():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 10)
    values = rng.normal(size=30)[groups] + 0.1 * rng.normal(size=300)
    common = {"n_resamples": 300, "level": 0.95, "seed": 1}
    by_image = metrics.bootstrap_interval(np.mean, values, **common)
    by_patient = metrics.bootstrap_interval(np.mean, values, groups=groups, **common)
    assert by_patient.low < by_patient.estimate < by_patient.high
    assert by_patient.high - by_patient.low > 2 * (by_image.high - by_image.low)
    assert by_patient == metrics.bootstrap_interval(np.mean, values, groups=groups, **common)
    standard_error = values.reshape(30, 10).mean(1).std() / np.sqrt(30)
    assert by_patient.high - by_patient.low == pytest.approx(2 * 1.96 * standard_error, rel=0.2)


def test_bootstrap_states_the_lengths():
    with pytest.raises(ValueError, match=r"\[3, 2\]"):
        metrics.bootstrap_interval(np.mean, np.ones(3), groups=np.ones(2), n_resamples=3, level=0.9, seed=0)


@pytest.mark.parametrize("wrong", [{"n_resamples": -1}, {"n_resamples": 0}, {"level": 2}, {"level": 0}])
def test_bootstrap_refuses_what_no_interval_can_have(wrong):
    with pytest.raises(ValueError, match="n_resamples >= 1 and level in"):
        metrics.bootstrap_interval(np.mean, np.ones(3), **{"n_resamples": 3, "level": 0.9, "seed": 0, **wrong})


def test_no_torch():
    code = "import sys, ssl_robust.metrics, ssl_robust.spectra, ssl_robust.probes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
