import numpy as np
import pytest
from pools import SETTINGS, trial

from ssl_robust.relabel.effort import answers_to_halve, answers_to_reach
from ssl_robust.relabel.simulate import (
    ORACLE,
    Campaign,
    first_pool,
    run_policy,
    until,
)
from ssl_robust.settings import defaults

BUDGETS = [16, 40, 80]


@pytest.fixture(scope="module")
def easy():
    return trial()


def run(easy, policy, **settings):
    sampler = {} if policy == ORACLE else defaults("sampler", policy)
    return run_policy(easy, policy, sampler, SETTINGS | settings, budgets=BUDGETS, seed=0)


def test_the_oracle_needs_half_of_the_errors_to_halve_them_and_random_half_of_the_scans(easy):
    n_wrong = int((easy.given != easy.truth).sum())
    assert answers_to_halve(run(easy, ORACLE)[1]) == np.ceil(n_wrong / 2)
    random = run_policy(easy, "random", defaults("sampler", "random"), SETTINGS, budgets=[len(easy)], seed=0)[1]
    assert answers_to_halve(random) == pytest.approx(len(easy) / 2, rel=0.25)
    assert random[-1].tolist() == [len(easy), 0]


def test_the_default_is_near_the_oracle_although_it_pays_for_control_and_repeats(easy):
    rows, curve = run(easy, "audit")
    n_wrong = int((easy.given != easy.truth).sum())
    assert answers_to_halve(curve) < 0.75 * n_wrong
    assert [row["answers"] for row in rows] == [0, *BUDGETS]
    assert len(curve) == BUDGETS[-1] + 1  # one point an answer
    assert rows[0]["noise"] == pytest.approx(n_wrong / len(easy))
    assert all(row["wrong_left"] <= row["most_left"] for row in rows)
    assert rows[-1]["balanced_accuracy"] >= rows[0]["balanced_accuracy"]


def test_control_scans_count_as_draws_and_repeats_as_answers(easy):
    campaign = Campaign.begin(easy, SETTINGS | {"control": 0.25, "repeat": 0.1}, seed=0)
    campaign.ask("audit", defaults("sampler", "audit"), budget=40, seed=1)
    assert campaign.expert.charged == 40
    assert int(campaign.closed.sum()) == 36
    assert [len(each.wrong) for each in campaign.rounds] == [10]
    drawn = campaign.permutation[:10]
    np.testing.assert_array_equal(campaign.rounds[0].wrong, (easy.given != easy.truth)[drawn])


def test_a_noisy_expert_costs_more_and_leaves_more(easy):
    noisy = {"expert": defaults("expert", "noisy") | {"accuracy": 0.7}}
    campaign = Campaign.begin(easy, SETTINGS | noisy, seed=0)
    campaign.ask("audit", defaults("sampler", "audit"), budget=40, seed=1)
    assert 40 <= campaign.expert.charged < 45
    assert campaign.closed.sum() < 25


def test_unsure_answers_leave_the_label_and_teach_nothing(easy):
    campaign = Campaign.begin(easy, SETTINGS | {"expert": {**defaults("expert", "perfect"), "unsure": 1.0}}, seed=0)
    campaign.ask("audit", defaults("sampler", "audit"), budget=30, seed=1)
    np.testing.assert_array_equal(campaign.labels, easy.given)
    assert not campaign.answered.any()
    assert campaign.closed.any()


def test_policies_share_what_is_known_before_anybody_is_asked(easy, monkeypatch):
    first = first_pool(easy, SETTINGS, wanted=16, seed=0)
    alone = run(easy, "audit")[1]
    assert first.opinion.posterior.shape == (len(easy), 3)

    def refuse(*_, **__):
        raise AssertionError("it is known already")

    monkeypatch.setattr("ssl_robust.relabel.sampler.form_opinion", refuse)
    for policy in ("audit", "joint"):
        curve = run_policy(easy, policy, defaults("sampler", policy), SETTINGS, budgets=[16], seed=0, first=first)[1]
        assert len(curve) == 17
        if policy == "audit":
            np.testing.assert_array_equal(curve, alone[:17])


def test_no_sampler_is_handed_the_truth(easy):
    """Not even by way of what it is asked to look at: in no round."""
    campaign = Campaign.begin(easy, SETTINGS, seed=0)
    campaign.ask("audit", defaults("sampler", "audit"), budget=16, seed=1)
    for pool in (first_pool(easy, SETTINGS, wanted=16, seed=0), campaign.pool):
        seen = [*vars(pool).values(), *vars(pool.scans).values(), *vars(pool.probe).values()]
        assert not any(isinstance(each, np.ndarray) and np.array_equal(each, easy.truth) for each in seen)
        assert not hasattr(pool.scans, "truth")


def test_a_campaign_ends_by_its_bound():
    easy = trial(900)
    found = until(easy, "audit", defaults("sampler", "audit"), SETTINGS, goal=0.1, step=60, seed=0)
    assert found["holds"]
    assert found["most_left"] <= 0.1 * found["n_left"]
    assert 0.2 * len(easy) < found["answers"] < 0.6 * len(easy)


def test_where_a_rising_curve_passes_a_goal():
    answers = np.array([0.0, 10, 20, 30])
    assert answers_to_reach(answers, np.array([0.5, 0.6, 0.7, 0.8]), 0.65) == pytest.approx(15)
    assert answers_to_reach(answers, np.array([0.9, 0.6, 0.7, 0.8]), 0.5) == 0
    assert np.isnan(answers_to_reach(answers, np.array([0.5, 0.6, 0.7, 0.8]), 0.9))
    # One lucky point does not count.
    assert answers_to_reach(answers, np.array([0.5, 0.9, 0.5, 0.9]), 0.8) > 20
