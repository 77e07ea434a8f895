import numpy as np
import pytest

T = [[0.7, 0.1, 0.1, 0.1], [0.0, 1.0, 0.0, 0.0], [0.2, 0.0, 0.8, 0.0], [0.0, 0.3, 0.3, 0.4]]


def test_it_is_the_formula_written_out(measure):
    step = measure("forward", transition=T)
    given = (step.p @ np.array(T))[np.arange(24), step.labels]
    assert float(step.loss) == pytest.approx(-np.log(given).mean(), rel=1e-5)


def test_with_a_strength_the_true_classes_are_as_frequent_as_they_are_believed(measure, info):
    step = measure("forward", transition=T, strength=1.5)
    counts = np.asarray(info.believe().posterior, dtype=np.float64).sum(axis=0) + 1
    raised = step.p * (counts / counts.sum()) ** 1.5
    raised /= raised.sum(axis=1, keepdims=True)
    given = (raised @ np.array(T))[np.arange(24), step.labels]
    assert float(step.loss) == pytest.approx(-np.log(given).mean(), rel=1e-5)


@pytest.mark.parametrize("strength", [-1, True, "1", 11])
def test_a_strength_that_cannot_be_is_refused(measure, strength):
    with pytest.raises(ValueError, match=r"strength=.*expected a number from 0 to 10"):
        measure("forward", strength=strength)


def test_the_matrix_is_estimated_where_none_is_given(measure, assert_same_step, info):
    matrix = info.believe().transition.tolist()
    assert_same_step(measure("forward"), measure("forward", transition=matrix))


def test_the_identity_makes_it_cross_entropy(measure, assert_same_step):
    assert_same_step(measure("forward", transition=np.eye(4).tolist()), measure("cross_entropy"))


def test_prediction_is_of_the_true_classes(measure):
    step = measure("forward", transition=T)
    np.testing.assert_allclose(
        step.strategy.predict([step.model], step.batch.images[0]).detach(), step.p, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0.7, 0.1, 0.1, 0.2], *T[1:]], r"row 1 of transition is .* sum 1\.1; expected probabilities that sum to 1"),
        ([[1.5, -0.5, 0.0, 0.0], *T[1:]], "row 1 of transition"),
        ([[0.9, 0.1], [0.1, 0.9]], r"transition has shape \(2, 2\) for 4 classes"),
        ("anchors", "transition=anchors is not a table of numbers"),
        ([*T[:3], [0.5, 0.5, 0.0]], "is not a table of numbers"),
        ([[0.5, 0.5, 0.0, 0.0]] * 4, "column 3 of transition is zero, yet 4 samples bear that label"),
    ],
)
@pytest.mark.parametrize("name", ["forward", "adaptation_layer"])
def test_a_matrix_that_cannot_be_is_refused(measure, name, matrix, message):
    with pytest.raises(ValueError, match=message):
        measure(name, transition=matrix)
