import numpy as np
import pytest

from ssl_robust.classify.rule import Facts, check_rule, choose
from ssl_robust.run import UserError
from ssl_robust.settings import choices, defaults

SETTINGS = defaults("", "train")
RULE = SETTINGS["rule"]


def facts(rate, counts=(100, 100)):
    return Facts(rate, np.array([[1 - rate, rate], [rate, 1 - rate]]), np.array(counts, dtype=float))


def chosen(rate, counts=(100, 100), **changed):
    return choose(facts(rate, counts), {**SETTINGS, **changed})


def names():
    """A remedy of its own for every branch, so that a test sees which was taken."""
    made = {name: {"strategy": "cross_entropy", "keep": "best"} for name in ("a", "b", "c")}
    branches = {"few": "a", "many": "b", "many_frozen": "c"}
    return {"remedies": made, "rule": {**RULE, "noise_from": 0.05, "uneven_from": 3.0, "fewest_scans": 50, **branches}}


@pytest.mark.parametrize(
    ("rate", "counts", "remedy"),
    [
        (0.0, (100, 100), "a"),
        (0.0499, (100, 100), "a"),
        (0.0, (299, 100), "a"),
        (0.0, (300, 100), "b"),
        (0.05, (100, 100), "b"),
        (0.4, (299, 100), "b"),
        (0.4, (300, 100), "b"),
        (0.05, (300, 100), "b"),
        (0.4, (300, 0), "b"),
        (0.4, (25, 24), "a"),
        (0.4, (25, 25), "b"),
    ],
)
def test_each_side_of_each_threshold(rate, counts, remedy):
    assert chosen(rate, counts, **names()).remedy == remedy


@pytest.mark.parametrize(
    ("rate", "counts", "remedy"), [(0, (100, 100), "a"), (0.4, (100, 100), "c"), (0, (300, 1), "c")]
)
def test_frozen_features_have_remedies_of_their_own(rate, counts, remedy):
    assert chosen(rate, counts, **names(), freeze=True).remedy == remedy


def test_what_is_asked_for_wins_over_the_rule():
    choice = chosen(0.4, **names(), remedy="a")
    assert (choice.remedy, choice.why) == ("a", "as remedy= asks")


def test_the_reason_names_the_numbers():
    assert "about 2% of the labels" in chosen(0.02).why
    assert "fewer than the 5%" in chosen(0.02, **names()).why
    assert "7 times as frequent" in chosen(0.4, (700, 100), **names()).why


def test_a_class_that_its_labels_do_not_name_is_named():
    assert facts(0.4).mistaken(["ill", "well"]) is None
    sentence = facts(0.6).mistaken(["ill", "well"])
    assert sentence.startswith("scans of ill seem to be labelled well more often than ill")


def test_clean_labels_get_plain_cross_entropy_and_all_remedies_are_strategies():
    assert chosen(0.0).strategy == defaults("strategy", "cross_entropy")
    for name, values in SETTINGS["remedies"].items():
        choice = chosen(0.3, remedy=name)
        assert values["strategy"] in choices("strategy")
        own = {key: value for key, value in values.items() if key not in ("strategy", "keep")}
        assert choice.strategy == {**defaults("strategy", values["strategy"]), **own}
        assert choice.keep == values["keep"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"remedy": "softn"}, r"remedy=softn is no remedy; choose one of auto, plain"),
        ({"rule": {**RULE, "noise_from": 5}}, r"rule\.noise_from=5 does not fit; expected a share"),
        ({"rule": {**RULE, "noise_from": True}}, r"rule\.noise_from=True"),
        ({"rule": {**RULE, "uneven_from": 0.5}}, r"rule\.uneven_from=0\.5 does not fit; expected a number from 1 on"),
        ({"rule": {**RULE, "fewest_scans": 0}}, r"rule\.fewest_scans=0 does not fit; expected a number from 1 on"),
        ({"rule": {**RULE, "many": "auto"}}, r"rule\.many=auto is no remedy; choose one of plain"),
        ({"remedies": {**SETTINGS["remedies"], "plain": {"strategy": "crossentropy"}}},
         r"remedies\.plain\.strategy=crossentropy does not exist"),
        ({"remedies": {**SETTINGS["remedies"], "plain": "gce"}}, r"remedies\.plain=gce does not fit; expected e\.g\."),
        ({"remedies": {**SETTINGS["remedies"], "plain": {"strategy": "coteaching_oracle"}}},
         r"remedies\.plain\.strategy=coteaching_oracle is told the noise that is made.*; take coteaching"),
        ({"remedies": {**SETTINGS["remedies"], "plain": {"strategy": "cross_entropy", "keep": "first"}}},
         r"remedies\.plain\.keep=first does not fit; expected best or last"),
        ({"remedies": {**SETTINGS["remedies"], "plain": {"strategy": "cross_entropy", "smoothing": 1}}},
         r"remedies\.plain\.smoothing is no option of strategy=cross_entropy; it has label_smoothing"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused(changed, message):
    with pytest.raises(UserError, match=message):
        check_rule({**SETTINGS, **changed})
