import numpy as np
import pytest


def test_it_is_the_formula_written_out(measure):
    step = measure("active_passive", alpha=0.7, beta=0.4)
    one = np.eye(4)[step.labels]
    normalised = -np.log(step.own) / -np.log(step.p).sum(axis=1)
    passive = np.abs(step.p - one).sum(axis=1)
    assert float(step.loss) == pytest.approx(np.mean(0.7 * normalised + 0.4 * passive), rel=1e-5)


def test_without_the_active_term_it_is_mean_absolute_error(measure, assert_same_step):
    assert_same_step(measure("active_passive", alpha=0.0, beta=0.5), measure("mae"))


def test_without_any_term_it_is_refused(measure):
    with pytest.raises(ValueError, match=r"alpha=0.0, beta=0.0; expected weights from 0 on, not both 0"):
        measure("active_passive", alpha=0.0, beta=0.0)
