import numpy as np
import pandas as pd
import pytest
from answering import said
from scipy.stats import beta

from ssl_robust.data.agreement import cohen_kappa, fleiss_kappa
from ssl_robust.files import UserError
from ssl_robust.relabel.consensus import between_readers, check_rule, differing, settle, with_themselves

DRAWS = {"n_resamples": 100, "level": 0.95, "seed": 0}


def votes(**readers):
    columns = {name: pd.array(values, dtype="string") for name, values in readers.items()}
    n = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=[f"s{number}" for number in range(n)])


def texts(column):
    return [None if pd.isna(each) else each for each in column]


def test_a_tie_stays_open_and_unsure_is_no_vote():
    given = votes(a=["x", "x", None, None], b=["y", "x", "y", None])
    label, unsettled = settle(given, {}, rule="majority")
    assert texts(label) == [None, "x", "y", None]
    assert unsettled.tolist() == [True, False, False, False]
    assert differing(given).tolist() == [True, False, False, False]


def test_dawid_and_skene_believe_those_who_agree_with_the_others():
    rng = np.random.default_rng(0)
    truth = rng.choice(["x", "y"], 400)
    flipped = np.where(truth == "x", "y", "x")
    given = votes(
        good=np.where(rng.random(400) < 0.02, flipped, truth),
        fair=np.where(rng.random(400) < 0.1, flipped, truth),
        **{name: np.where(rng.random(400) < 0.45, flipped, truth) for name in ("c", "d", "e")},
    )
    right = {rule: (settle(given, {}, rule=rule)[0].to_numpy() == truth).mean() for rule in ("majority", "dawid_skene")}
    assert right["dawid_skene"] > right["majority"] + 0.05


def test_a_rule_that_does_not_fit_is_named():
    with pytest.raises(UserError, match="consensus=majorty does not exist"):
        check_rule("majorty", n_readers=3)
    with pytest.raises(UserError, match="needs 3 readers or more and 2 gave labels"):
        settle(votes(a=["x"], b=["x"]), {}, rule="dawid_skene")


def test_kappa_has_the_interval_of_the_kappa_that_is_told():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 2, 60)
    second = np.where(rng.random(60) < 0.2, 1 - first, first)
    names = np.array(["x", "y"])
    given = votes(a=[*names[first], "x"], b=[*names[second], None])
    found = between_readers(given, **DRAWS)
    assert found["kappa"] == {"name": "Cohen's kappa", "value": pytest.approx(cohen_kappa(first, second))}
    low, high = found["interval"]
    assert low < found["kappa"]["value"] < high
    assert 0.2 < high - low < 0.6
    third = votes(a=names[first], b=names[second], c=names[first])
    three = between_readers(third, **DRAWS)
    counts = np.stack([(2 - 2 * first) + 1 - second, 2 * first + second], axis=1)
    assert three["kappa"]["value"] == pytest.approx(fleiss_kappa(counts))
    assert three["interval"][0] < three["kappa"]["value"] < three["interval"][1]


def test_one_reader_agrees_with_nobody_and_two_without_a_common_scan_neither():
    assert between_readers(votes(a=["x"]), **DRAWS) is None
    apart = between_readers(votes(a=["x", None], b=[None, "x"]), **DRAWS)
    assert apart["kappa"]["value"] is None
    assert apart["interval"] is None


def test_agreement_with_oneself_by_clopper_and_pearson():
    first = [said(f"s{number}", "benign") for number in range(12)] + [said("s0", "normal", by="Ben")]
    repeats = [said(f"s{number}", "benign" if number else "normal", shown="repeat") for number in range(10)]
    repeats += [said("s10", None, shown="repeat"), said("s99", "benign", shown="repeat")]
    (ann,) = with_themselves(first, repeats, level=0.95)
    assert (ann["name"], ann["n"], ann["n_same"], ann["agreement"]) == ("Ann", 10, 9, 0.9)
    assert ann["low"] == pytest.approx(beta.ppf(0.025, 9, 2))
    assert ann["high"] == pytest.approx(beta.ppf(0.975, 10, 1))
