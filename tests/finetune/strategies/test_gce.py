import numpy as np
import pytest
import torch


@pytest.mark.parametrize("q", [0.05, 0.7, 1])
def test_it_is_the_formula_written_out(measure, q):
    step = measure("gce", q=q)
    assert float(step.loss) == pytest.approx(np.mean((1 - step.own**q) / q), rel=1e-5)


@pytest.mark.parametrize("q", [0, 1e-7, 1e-4])
def test_without_q_it_is_cross_entropy(measure, assert_same_step, q):
    assert_same_step(measure("gce", q=q), measure("cross_entropy"), rtol=1e-6 + 20 * q, atol=1e-6 + 20 * q)


def test_mean_absolute_error_is_twice_the_loss_of_its_name(measure):
    step = measure("mae")
    assert 2 * float(step.loss) == pytest.approx(np.abs(np.eye(4)[step.labels] - step.p).sum(axis=1).mean(), rel=1e-5)


@pytest.mark.parametrize("q", [0, 1e-7, 0.7, 1])
def test_certain_mistakes_leave_it_finite(measure, q):
    step = measure("gce", q=q, sure=1e3)
    assert step.own.min() < 1e-300
    assert torch.isfinite(step.loss)
    assert all(torch.isfinite(each).all() for each in step.gradients)


@pytest.mark.parametrize("q", [-0.1, 1.5, True, float("nan")])
def test_impossible_q_is_refused(measure, q):
    with pytest.raises(ValueError, match=f"q={q}; expected a number from 0"):
        measure("gce", q=q)
