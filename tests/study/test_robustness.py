import numpy as np
import pytest

from ssl_robust.study.robustness import drop_per_ten, rate_at, rate_interval

RATES = np.array([0.0, 0.1, 0.2, 0.4])


def test_the_slope_of_an_exact_line():
    curves = np.stack([0.9 - 0.5 * RATES, 0.7 + 0.2 * RATES], axis=1)
    np.testing.assert_allclose(drop_per_ten(RATES, curves), [0.05, -0.02])


def test_the_slope_is_that_of_least_squares():
    values = np.random.default_rng(0).random(4)
    assert drop_per_ten(RATES, values[:, None])[0] == pytest.approx(-0.1 * np.polyfit(RATES, values, 1)[0])


def test_the_rate_at_nine_tenths_is_read_off_straight_lines():
    curves = np.stack([0.9 - 0.5 * RATES, 0.8 + 0 * RATES, [1.0, 0.95, 0.85, 0.2], [0.5, 0.45, 0.2, 0.6]], axis=1)
    np.testing.assert_allclose(rate_at(RATES, curves, 0.9), [0.18, np.inf, 0.15, 0.1])


def test_a_rate_that_was_not_reached_has_infinite_ends():
    draws = np.array([0.3, *np.linspace(0.2, 0.35, 50), *[np.inf] * 50])
    found = rate_interval(draws, 0.9)
    assert found.estimate == 0.3
    assert found.low == pytest.approx(0.212, abs=0.01)
    assert found.high == np.inf
    assert np.isnan(rate_interval(np.array([0.3, np.nan]), 0.9).low)
