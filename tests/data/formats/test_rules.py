import numpy as np
import pytest

from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.formats.values import limits, windowed
from ssl_robust.files import UserError
from ssl_robust.settings import defaults

SETTINGS = defaults("data", "_files")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "auto"),
        ({"window": "lung"}, (-1350.0, 150.0)),
        ({"window": [0, 4095]}, (0.0, 4095.0)),
        ({"window": "full"}, "full"),
    ],
)
def test_windows_have_names_and_numbers(changes, expected):
    assert Rules.read(SETTINGS | changes).window == expected


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"window": "lungs"}, "is not known, did you mean lung; expected auto, full, percentiles, lung"),
        ({"window": [5, 5]}, "does not end above where it begins"),
        ({"window": [1]}, "is not known"),
        ({"frames": 0}, "data.frames=0 does not fit"),
        ({"step": 1.5}, "data.step=1.5 does not fit"),
        ({"axis": "z"}, "data.axis=z does not exist; expected axial, coronal, sagittal"),
        ({"body": 1.0}, "data.body=1.0 does not fit"),
        ({"percentiles": [99, 1]}, "percentiles"),
    ],
)
def test_impossible_rules_are_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        Rules.read(SETTINGS | changes)


def test_a_window_cuts_off_what_lies_beyond_and_takes_no_nan_for_white():
    values = np.array([-2000.0, -1350.0, -600.0, 150.0, 9999.0, np.nan])
    assert windowed(values, -1350.0, 150.0).tolist() == [0, 0, 32768, 65535, 65535, 0]


def test_no_step_is_lost_among_large_numbers_and_none_is_invented_by_overflow():
    ramp = np.arange(4096)
    for values in (ramp + 2**30, (ramp + 2**30).astype(np.uint32), ramp + 1e9, ramp.astype(np.float32) - 2048):
        assert len(np.unique(windowed(values, float(values[0]), float(values[-1])))) == 4096
    extremes = np.array([-np.inf, -3e38, 0.0, 3e38, np.inf], np.float32)
    assert windowed(extremes, -1.0, 1.0).tolist() == [0, 0, 32768, 65535, 65535]
    assert windowed(extremes, 0.0, 1e-37).tolist() == [0, 0, 0, 65535, 65535]


def test_who_decides_the_limits():
    values = np.linspace(0.0, 1000.0, 1001)
    told, full = (10.0, 20.0), (0.0, 4095.0)
    assert limits(values, Rules(), told=told, full=full) == told
    assert limits(values, Rules(), told=None, full=full) == full
    assert limits(values, Rules(window="full"), told=told, full=full) == full
    assert limits(values, Rules(window="percentiles"), told=told, full=full) == (5.0, 995.0)
    assert limits(values, Rules(window=(1.0, 2.0)), told=told, full=full) == (1.0, 2.0)
    assert limits(values, Rules(), told=None, full=None) == (5.0, 995.0)
    assert limits(np.full(9, 7.0), Rules(), told=None, full=None) == (7.0, 8.0)
    low, high = limits(np.full(9, 1e20), Rules(), told=None, full=None)
    assert windowed(np.array([low, high]), low, high).tolist() == [0, 65535]
    with pytest.raises(ValueError, match="no finite value"):
        limits(np.array([np.nan]), Rules(), told=None, full=None)
