import numpy as np
import pytest

from ssl_robust.relabel.control import Draws, evidence_against, interval, most_wrong, remaining

LEVEL = 0.9


def by_hand(draws, total):
    """The martingale, factor by factor."""
    products = []
    for c in np.linspace(0, 0.95, 20):
        product = 1.0
        for each in draws:
            left, wrong = each.n_open, total - each.n_before
            for is_wrong in each.wrong:
                p = wrong / left
                product *= c if is_wrong else (1 - c * p) / (1 - p)
                left, wrong = left - 1, wrong - is_wrong
        products.append(product)
    return float(np.mean(products))


def test_the_evidence_is_the_martingale_written_out():
    draws = [Draws(np.array([False, True, False]), 50, 0), Draws(np.array([False, False]), 40, 4)]
    for total in (6, 12, 25):
        assert np.exp(evidence_against(draws, total)) == pytest.approx(by_hand(draws, total))


def test_under_the_truth_its_mean_is_one():
    rng = np.random.default_rng(0)
    n, n_wrong, drawn = 30, 9, 8
    labels = np.arange(n) < n_wrong
    found = [np.exp(evidence_against([Draws(rng.permutation(labels)[:drawn], n, 0)], n_wrong)) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(1, abs=0.08)


def test_the_bound_falls_with_clean_draws_and_never_below_what_was_found():
    bounds = [
        most_wrong([Draws(np.zeros(m, dtype=bool), 1000, 0)], n=1000, n_answered=m, n_found=0, level=LEVEL)
        for m in (0, 10, 50, 200)
    ]
    assert bounds[0] == 1000
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 25
    assert most_wrong([Draws(np.ones(5, dtype=bool), 10, 0)], n=10, n_answered=5, n_found=5, level=LEVEL) == 10
    assert (
        most_wrong([Draws(np.array([True] * 3 + [False] * 7), 10, 0)], n=10, n_answered=10, n_found=3, level=LEVEL) == 3
    )


def test_all_that_was_left_cannot_be_wrong_once_one_was_right():
    assert evidence_against([Draws(np.array([True, False]), 4, 1)], 5) == np.inf
    assert np.isfinite(evidence_against([Draws(np.array([True, False]), 4, 1)], 4))


def campaign(rng, *, n, goal, whole_patients):
    """A sampler that learns from all answers, control ones too; then control scans alone, until the bound allows."""
    patients = np.repeat(np.arange(n // 5), 5)
    wrong = (rng.random(n // 5) < 0.2)[patients] if whole_patients else rng.random(n) < 0.2
    hint = 3 * wrong + rng.normal(size=n)
    permutation = rng.permutation(n)
    closed, rounds = np.zeros(n, dtype=bool), []
    while True:
        n_left, found = int((~closed).sum()), int(wrong[closed].sum())
        # The bound is as low as that once the next larger total is given up; only then is it worth finding.
        if evidence_against(rounds, found + int(goal * n_left) + 1) >= np.log(10):
            most = most_wrong(rounds, n=n, n_answered=n - n_left, n_found=found, level=LEVEL)
            assert most - found <= goal * n_left
            return int(wrong.sum()) <= most, n - n_left
        control = permutation[~closed[permutation]][:15]
        rounds.append(Draws(wrong[control], n_left, found))
        closed[control] = True
        if len(rounds) <= 6:
            # Patients in whom an error was found are read next: what the control sample finds steers the sampler.
            seen = np.bincount(patients[closed], wrong[closed], minlength=n // 5)
            order = np.argsort(-(hint + (seen > 0)[patients] - 99 * closed), kind="stable")
            closed[order[:25]] = True


@pytest.mark.parametrize("whole_patients", [False, True])
def test_stopped_campaigns_hold_what_they_promise(whole_patients):
    rng = np.random.default_rng(0)
    made = [campaign(rng, n=500, goal=0.12, whole_patients=whole_patients) for _ in range(200)]
    held, answers = np.mean([holds for holds, _ in made]), np.mean([n for _, n in made])
    assert held >= 0.88
    assert answers < 400  # a rule by which all is read would hold too


def test_a_bound_for_a_number_that_is_fixed_beforehand_would_not_hold_when_stopped_by():
    """What the martingale is for: the same campaigns, stopped by the usual interval looked at again and again."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        n, rate = 300, 0.12
        wrong = rng.permutation(np.arange(n) < rate * n)
        for m in range(10, n, 10):
            _, high = interval(int(wrong[:m].sum()), m, level=0.8)  # one-sided 90 %
            if high <= 0.115:
                break
        held.append(wrong[m:].mean() <= high)
    assert np.mean(held) < 0.88


def test_the_interval_is_clopper_and_pearsons():
    from scipy.stats import binomtest

    for k, n in ((0, 20), (3, 20), (20, 20)):
        expected = binomtest(k, n).proportion_ci(0.9, method="exact")
        assert interval(k, n, level=0.9) == pytest.approx((expected.low, expected.high))
    assert np.isnan(interval(0, 0, level=0.9)).all()


def test_the_sentence():
    left = remaining([Draws(np.zeros(100, dtype=bool), 1000, 0)], np.zeros(100, dtype=bool), n=1000, n_answered=100,
                     n_found=0, p_wrong=np.full(300, 0.2), level=LEVEL)  # fmt: skip
    assert left.sentence() == (
        f"with 90% confidence at most {left.most / 900:.1%} of the remaining 900 labels are wrong; "
        "reading 100 more would find about 20"
    )
    assert (left.rate, left.low) == (0, 0)
    done = remaining([], np.zeros(0, dtype=bool), n=5, n_answered=5, n_found=1, p_wrong=None, level=LEVEL)
    assert done.sentence() == "every label has been read"


def test_few_random_scans_bound_nothing_in_words():
    some = {"n": 500, "n_answered": 4, "n_found": 2, "p_wrong": None, "level": LEVEL}
    left = remaining([Draws(np.zeros(4, dtype=bool), 500, 0)], np.zeros(4, dtype=bool), **some)
    assert left.sentence().startswith("too few of the scans drawn at random are read (4) to say how many of the")


def test_the_sentence_speaks_of_as_many_scans_as_are_queued():
    """Five suspects in the queue are not the next hundred."""
    draws = [Draws(np.zeros(20, dtype=bool), 500, 0)]
    some = {"n": 500, "n_answered": 20, "n_found": 0, "level": LEVEL}
    left = remaining(draws, np.zeros(20, dtype=bool), p_wrong=np.full(5, 0.6), **some)
    assert left.sentence().endswith("reading 5 more would find about 3")
    none = remaining(draws, np.zeros(20, dtype=bool), p_wrong=np.empty(0), **some)
    assert none.sentence().endswith("labels are wrong")
