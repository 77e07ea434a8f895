import numpy as np
import pandas as pd
import pytest

from ssl_robust.metrics import Interval
from ssl_robust.study.comparison import Gain, gain, marks, noisiest
from ssl_robust.study.draws import Arm, Draws
from ssl_robust.study.families import family
from ssl_robust.study.findings import hurt, protection

NOISE = ("symmetric", 0.4)


def draws_of(levels, *, n_seeds=3, spread=0.01):
    """Accuracy by (init, strategy, noise, rate) -> draws with luck of patients and seeds that arms do not share."""
    rng = np.random.default_rng(0)
    keys = [(key, seed) for key in levels for seed in range(n_seeds)]
    columns = ["set", "init", "strategy", "noise", "rate", "seed"]
    cells = pd.DataFrame([["s", *key, seed] for key, seed in keys], columns=columns)
    values = np.stack([levels[key] + spread * rng.standard_normal(2001) for key, _ in keys])
    return Draws(cells, values, level=0.95, seed=0)


def arm(init="random", strategy="ce", noise="symmetric", rate=0.4):
    return Arm("s", init, strategy, noise, rate)


def test_the_highest_rate_of_each_kind_counts_and_clean_labels_where_there_is_no_other():
    arms = [arm(noise="none", rate=0.0), arm(rate=0.2), arm(rate=0.4), Arm("t", "random", "ce", "none", 0.0)]
    assert noisiest(arms) == {("s", "symmetric", 0.4), ("t", "none", 0.0)}


def test_a_clear_gain_is_better_and_the_other_way_round_worse():
    draws = draws_of({("random", "ce", *NOISE): 0.6, ("random", "gce", *NOISE): 0.8})
    found = gain(draws, [arm(strategy="gce")], lambda each: each._replace(strategy="ce"))
    assert found.interval.estimate == pytest.approx(0.2, abs=0.02)
    assert (found.verdict, found.n_pairs, found.n_seeds) == ("better", 1, 3)
    back = gain(draws, [arm()], lambda each: each._replace(strategy="gce"))
    assert back.verdict == "worse"
    assert gain(draws, [arm()], lambda each: each._replace(strategy="elr")) is None


def test_identical_arms_are_never_better():
    draws = draws_of({("random", "ce", *NOISE): 0.6}, spread=0.0)
    same = gain(draws, [arm()], lambda each: each)
    assert tuple(same.interval) == (0.0, 0.0, 0.0)
    assert same.verdict == "open"
    twins = draws_of({("random", "ce", *NOISE): 0.6, ("random", "gce", *NOISE): 0.6}, spread=0.0)
    assert set(marks(twins, twins.arms).values()) == {"best", "alike"}


def test_one_seed_claims_nothing():
    assert Gain(Interval(0.2, 0.1, 0.3), 1, 1).verdict == "open"
    assert Gain(Interval(0.2, 0.1, 0.3), 1, 2).verdict == "better"


def test_the_best_is_marked_with_what_is_not_worse_and_an_oracle_is_no_rival():
    draws = draws_of({("random", name, *NOISE): value for name, value in
                      (("ce", 0.6), ("gce", 0.8), ("elr", 0.801), ("gce_oracle", 0.9))})  # fmt: skip
    found = {each.strategy: mark for each, mark in marks(draws, draws.arms).items()}
    assert found["ce"] == ""
    assert {found["gce"], found["elr"]} == {"best", "alike"}
    assert found["gce_oracle"] == "oracle"


def test_one_seed_marks_nothing_as_worse():
    draws = draws_of({("random", "ce", *NOISE): 0.6, ("random", "gce", *NOISE): 0.8}, n_seeds=1)
    assert {each.strategy: mark for each, mark in marks(draws, draws.arms).items()} == {"ce": "alike", "gce": "best"}


def test_an_encoder_that_is_better_on_clean_labels_gains_without_protecting():
    levels = {}
    for init, clean, noisy in (("random", 0.7, 0.5), ("simclr", 0.9, 0.7), ("rotation", 0.7, 0.65)):
        levels |= {(init, "ce", "none", 0.0): clean, (init, "ce", *NOISE): noisy}
    found = protection(draws_of(levels), {"init": "random", "strategy": "ce"})
    rows = {row["family"]: row for row in found["families"]}
    assert rows["contrastive"]["gain"]["estimate"] == pytest.approx(0.2, abs=0.03)
    assert rows["contrastive"]["less_lost"]["estimate"] == pytest.approx(0.0, abs=0.03)
    assert rows["pretext"]["less_lost"]["estimate"] == pytest.approx(0.15, abs=0.03)
    assert [(row["first"], row["second"]) for row in found["between"]] == [("contrastive", "pretext")]


def test_what_noise_takes_is_clean_minus_noisy():
    draws = draws_of({("random", "ce", "none", 0.0): 0.9, ("random", "ce", *NOISE): 0.6})
    (row,) = hurt(draws, {"init": "random", "strategy": "ce"})
    assert row["estimate"] == pytest.approx(0.3, abs=0.03)
    assert row["verdict"] == "better"
    assert row["sets"] == ["s"]


def test_families_come_from_the_methods_own_files():
    assert [family(each) for each in ("simclr", "jigsaw", "vae")] == ["contrastive", "pretext", "generative"]
    assert [family(each) for each in ("random", "default", "../../etc/passwd")] == [
        "random",
        "default",
        "../../etc/passwd",
    ]
