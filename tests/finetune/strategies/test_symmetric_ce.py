import numpy as np
import pytest


def test_it_is_the_formula_written_out(measure):
    step = measure("symmetric_ce", alpha=0.3, beta=0.9, log_zero=-5.0)
    q = np.eye(4)[step.labels]
    log_q = np.where(q > 0, 0.0, -5.0)
    reverse = -(step.p * log_q).sum(axis=1)
    assert float(step.loss) == pytest.approx(np.mean(-0.3 * np.log(step.own) + 0.9 * reverse), rel=1e-5)


def test_without_the_reverse_term_it_is_cross_entropy(measure, assert_same_step):
    assert_same_step(measure("symmetric_ce", alpha=1.0, beta=0.0), measure("cross_entropy"))


@pytest.mark.parametrize(
    ("values", "message"),
    [({"alpha": -1.0}, "alpha=-1"), ({"alpha": 0.0, "beta": 0.0}, "not both 0"), ({"log_zero": 4.0}, "log_zero=4")],
)
def test_impossible_values_are_refused(measure, values, message):
    with pytest.raises(ValueError, match=message):
        measure("symmetric_ce", **values)
