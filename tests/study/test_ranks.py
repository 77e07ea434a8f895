import numpy as np
import pytest
from scipy import stats

from ssl_robust.study.ranks import critical_difference, friedman, groups_alike, holm, rank

# Demšar 2006, table 6: AUC of C4.5 plain, with m, with cf, with both, on 14 data sets. His ranks are of unrounded
# numbers: where the table shows 0.975 twice (voting), +cf is ahead.
AUC = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip


def test_the_example_of_demsar():
    found = rank(["C4.5", "+m", "+cf", "+m+cf"], AUC, alpha=0.05)
    by_name = dict(zip(found.names, found.ranks, strict=True))
    assert found.names[0] == "+m+cf"
    np.testing.assert_allclose(
        [by_name[n] for n in ("C4.5", "+m", "+cf", "+m+cf")], [3.143, 2.0, 2.893, 1.964], atol=5e-4
    )
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert found.n_blocks == 14
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*AUC.T).pvalue)


@pytest.mark.parametrize(
    ("k", "alpha", "q"),
    [(2, 0.05, 1.960), (3, 0.05, 2.343), (5, 0.05, 2.728), (10, 0.05, 3.164), (4, 0.10, 2.291), (10, 0.10, 2.920)],
)
def test_the_critical_difference_has_the_published_q(k, alpha, q):  # Demšar 2006, table 5a
    assert critical_difference(k, 6, alpha=alpha) == pytest.approx(q * np.sqrt(k * (k + 1) / 36), abs=2e-3)


def test_holm_steps_down():
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03, 0.9])), [0.09, 0.04, 0.09, 0.9])


def test_wilcoxon_is_scipys_after_holm():
    values = np.random.default_rng(0).random((12, 3)) + np.array([0.0, 0.3, 0.1])
    found = rank(["a", "b", "c"], values, alpha=0.05)
    assert found.names[0] == "b"
    plain = [stats.wilcoxon(values[:, 1], values[:, "abc".index(name)]).pvalue for name in found.names[1:]]
    np.testing.assert_allclose(found.against_best[1:], holm(np.array(plain)))


def test_equal_arms_share_their_ranks_and_differ_in_nothing():
    found = rank(["a", "b", "c"], np.ones((5, 3)), alpha=0.05)
    np.testing.assert_array_equal(found.ranks, [2.0, 2.0, 2.0])
    assert found.friedman_p == 1.0
    np.testing.assert_array_equal(found.against_best, [np.nan, 1.0, 1.0])
    assert groups_alike(found.ranks, found.critical_difference) == [(0, 2)]


def test_two_arms_have_no_friedman_test():
    assert np.isnan(friedman(np.ones((5, 2))))


def test_bars_of_the_diagram_join_what_is_close_and_none_lies_inside_another():
    assert groups_alike(np.array([1.0, 1.5, 2.2, 4.0]), 1.0) == [(0, 1), (1, 2)]
    assert groups_alike(np.array([1.0, 1.1, 1.2]), 1.0) == [(0, 2)]
    assert groups_alike(np.array([1.0, 3.0]), 1.0) == []


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"2 names and values of shape \(3, 4\)"):
        rank(["a", "b"], np.ones((3, 4)), alpha=0.05)
