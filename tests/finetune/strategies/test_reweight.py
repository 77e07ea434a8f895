import numpy as np
import pytest


def believed(info, labels):
    return info.believe().posterior[np.arange(24), labels]


def test_it_is_the_formula_written_out(measure, info):
    step = measure("reweight", within_class=False, floor=0.1)
    reliability = np.maximum(believed(info, info.labels), 0.1)
    weights = (reliability / reliability.mean())[step.indices]
    assert float(step.loss) == pytest.approx(np.mean(weights * -np.log(step.own)), rel=1e-5)


def test_classes_keep_their_shares(measure, info):
    weights = measure("reweight", within_class=True).strategy.weights.numpy()
    given = info.labels.numpy()
    for code in range(4):
        own = believed(info, given)[given == code]
        np.testing.assert_allclose(weights[given == code], own / own.mean(), rtol=1e-5)


@pytest.mark.parametrize("within_class", [True, False])
def test_a_floor_of_one_makes_it_cross_entropy(measure, assert_same_step, within_class):
    assert_same_step(measure("reweight", floor=1.0, within_class=within_class), measure("cross_entropy"))


def test_classes_without_a_believed_label_or_without_a_sample_leave_it_finite(measure, info):
    info.believe().posterior[info.labels == 3, 3] = 0
    info.labels[info.labels == 2] = 1
    weights = measure("reweight", floor=0.0).strategy.weights
    assert (weights[info.labels == 3] == 0).all()
    assert weights[info.labels != 3].mean() == pytest.approx(1)


@pytest.mark.parametrize("floor", [-0.1, 1.1, True])
def test_impossible_floor_is_refused(measure, floor):
    with pytest.raises(ValueError, match=f"floor={floor}"):
        measure("reweight", floor=floor)
