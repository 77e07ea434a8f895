import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ssl_robust import metrics
from ssl_robust.study.draws import Arm, Draws, balanced_accuracies, over_seeds
from ssl_robust.transfer.resampling import resampled_counts


def draws_of(values, *, level=0.95):
    """Values by arm name and seed, nothing drawn of patients -> draws of seeds alone."""
    names = [(name, seed) for name, each in values.items() for seed in range(len(each))]
    cells = pd.DataFrame([{"set": "s", "init": "i", "strategy": name, "noise": "none", "rate": 0.0, "seed": seed}
                          for name, seed in names])  # fmt: skip
    column = np.array([values[name][seed] for name, seed in names])[:, None]
    return Draws(cells, np.repeat(column, 20_001, axis=1), level=level, seed=0)


def arm(name):
    return Arm("s", "i", name, "none", 0.0)


def test_balanced_accuracy_in_every_draw_is_that_of_the_repeated_scans():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(3, size=40), rng.integers(9, size=40)
    predicted = rng.integers(3, size=(2, 40))
    counts = np.concatenate(list(resampled_counts(groups, n_resamples=5, seed=0)))
    found = balanced_accuracies((predicted == labels).astype(float), labels, counts)
    for r, c in np.ndindex(6, 2):
        rows = np.repeat(np.arange(40), counts[r].astype(int))
        recalls = metrics.class_recalls(labels[rows], predicted[c, rows], n_classes=3)
        assert found[c, r] == pytest.approx(np.nanmean(recalls))


def test_drawn_seeds_give_students_interval():
    values = [0.70, 0.74, 0.81, 0.79]
    found = draws_of({"a": values}).accuracy(arm("a"))
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    assert found.estimate == pytest.approx(0.76)
    np.testing.assert_allclose([found.low, found.high], [0.76 - half, 0.76 + half], atol=0.004)


def test_differences_are_paired_over_the_seeds_that_both_have():
    luck = [0.0, 0.1, 0.05, 0.2]
    draws = draws_of({"a": [0.6 + each for each in luck], "b": [0.5 + each for each in luck[:3]]})
    assert draws.seeds(arm("a"), arm("b")) == [0, 1, 2]
    np.testing.assert_allclose(draws.interval(draws.difference(arm("a"), arm("b"))), [0.1] * 3, atol=1e-12)


def test_a_share_is_that_of_the_means_and_near_it_however_far_seeds_lie_apart():
    draws = draws_of({"clean": [0.4, 0.8], "steady": [0.36, 0.72], "noisy": [0.4, 0.6]})
    assert tuple(draws.interval(draws.share(arm("steady"), arm("clean")))) == pytest.approx((0.9, 0.9, 0.9))
    found = draws.interval(draws.share(arm("noisy"), arm("clean")))
    assert found.estimate == pytest.approx(0.5 / 0.6)
    assert -1 < found.low < found.estimate < found.high < 3  # the quotient of draws would reach to millions


def test_one_seed_adds_nothing_and_ends_are_accuracies():
    values = np.array([[0.5, 0.4, 0.6]])
    assert over_seeds(values, np.array([[0.0, 3.0, -3.0]]), 0.95) == pytest.approx(values[0])
    assert draws_of({"a": [0.99, 0.9]}).accuracy(arm("a")).high == 1.0


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    """Scans of 60 patients, 4 seeds: each patient, each seed and each answer has luck of its own."""
    rng, held, n_patients, n_scans, n_seeds = np.random.default_rng(0), 0, 60, 3, 4
    groups = np.repeat(np.arange(n_patients), n_scans)
    labels = np.zeros(len(groups), dtype=int)
    for trial in range(300):
        patients, seeds = rng.normal(0, 1, n_patients), rng.normal(0, 0.3, n_seeds)
        latent = 0.5 + patients[groups] + seeds[:, None] + rng.normal(0, 1, (n_seeds, len(groups)))
        counts = np.concatenate(list(resampled_counts(groups, n_resamples=400, seed=trial)))
        values = balanced_accuracies((latent > 0).astype(float), labels, counts)
        shocks = np.random.default_rng(trial).standard_normal(values.shape)
        shocks[:, 0] = 0
        drawn = over_seeds(values, shocks, 0.9)[1:]
        truth = stats.norm.cdf(0.5 / np.sqrt(1 + 0.09 + 1))
        low, high = np.quantile(drawn, [0.05, 0.95])
        held += low <= truth <= high
    assert 0.87 <= held / 300 <= 0.99  # said: 0.90, or a little more
    print(held / 300)
