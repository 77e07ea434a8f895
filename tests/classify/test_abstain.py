import numpy as np
import pytest

from ssl_robust.classify.abstain import check_share, least_sure, selective_curve
from ssl_robust.run import UserError

P = np.array([[0.9, 0.1], [0.4, 0.6], [0.55, 0.45], [0.2, 0.8], [0.6, 0.4]])


@pytest.mark.parametrize(("share", "left"), [(0, []), (0.2, [2]), (0.4, [1, 2]), (0.59, [1, 2, 4]), (0.99, range(5))])
def test_the_least_sure_share_is_left(share, left):
    assert np.flatnonzero(least_sure(P, share)).tolist() == list(left)


def test_equally_sure_scans_are_taken_in_their_order():
    assert np.flatnonzero(least_sure(np.full((10, 2), 0.5), 0.3)).tolist() == [0, 1, 2]


def test_the_curve_counts_what_is_answered():
    labels = np.array([0, 1, 1, 1, 0])
    curve = {round(each["abstained"], 2): each for each in selective_curve(labels, P)}
    assert curve[0.0]["accuracy"] == pytest.approx(4 / 5)
    assert curve[0.0]["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert curve[0.2] == {"abstained": pytest.approx(0.2), "accuracy": 1.0, "balanced_accuracy": 1.0, "threshold": 0.6}
    assert curve[0.8]["threshold"] == 0.9
    assert 0.95 not in curve  # nobody would be answered


def test_one_scan_is_always_answered():
    assert selective_curve(np.array([0]), P[:1])[0]["accuracy"] == 1.0


@pytest.mark.parametrize("share", [1.5, 1, -0.1, True, "0.1", None, float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(UserError, match="expected the share of scans to leave to an expert"):
        check_share(share)
