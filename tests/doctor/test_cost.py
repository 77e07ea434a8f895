import numpy as np
import pytest

from ssl_robust.doctor.cost import spread, spread_of_mean


def test_a_time_is_the_median_between_the_fastest_and_the_slowest():
    assert spread(10, [3.0, 1.0, 2.0]) == {"seconds": 20, "low": 10, "high": 30}


def test_scans_that_differ_are_told_by_their_mean_and_its_error():
    seconds = [1.0, 2.0, 3.0, 10.0]
    found = spread_of_mean(100, seconds)
    error = 2 * np.std(seconds, ddof=1) / 2
    assert found["seconds"] == pytest.approx(400)
    assert found["high"] == pytest.approx(100 * (4 + error))
    assert found["low"] == pytest.approx(100)  # nothing is faster than the fastest
    assert spread_of_mean(5, [2.0]) == {"seconds": 10, "low": 10, "high": 10}
