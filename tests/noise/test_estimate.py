import numpy as np
import pytest

from ssl_robust.noise.estimate import NoiseEstimate, checked_labels, checked_weights


def test_a_joint_gives_matrix_prior_and_rate():
    got = NoiseEstimate.from_joint(np.array([[30, 10, 0], [5, 55, 0], [0, 0, 0]]))
    np.testing.assert_allclose(got.transition, [[0.75, 0.25, 0], [5 / 60, 55 / 60, 0], [0, 0, 1]])
    np.testing.assert_allclose(got.prior, [0.4, 0.6, 0])
    assert got.rate == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("labels", "n_samples", "says"),
    [
        ([0, 1], 3, r"3 samples and labels of shape \(2,\)"),
        ([], 0, "no sample"),
        ([0, 3], 2, r"int64 in \[0, 3\]; expected ints in \[0, 3\)"),
        ([-1, 0], 2, r"\[-1, 0\]"),
        ([0.0, 1.0], 2, "float64"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels, n_samples, says):
    with pytest.raises(ValueError, match=says):
        checked_labels(labels, n_samples, 3)


def test_small_ints_have_room_to_count_in():
    assert checked_labels(np.array([0, 200], dtype=np.uint8), 2, 201).dtype == np.int64


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([1.0], r"2 samples and weights of shape \(1,\)"),
        ([1.0, -0.5], "-0.5"),
        ([1.0, np.nan], "nan"),
        ([0.0, 0.0], "one above"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, says):
    with pytest.raises(ValueError, match=says):
        checked_weights(weights, 2)
