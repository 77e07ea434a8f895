import pytest

from ssl_robust.transfer.words import cautions, conclusions


def row(value, low, high, **other):
    return {"features": "encoder", "minus": "random", "protocol": "logistic", "measure": "balanced_accuracy",
            "value": value, "low": low, "high": high, **other}  # fmt: skip


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((0.07, 0.04, 0.1), "The encoder is better than a random encoder by 0.070 (0.040 to 0.100): "
                            "the 95 % interval excludes 0."),
        ((-0.07, -0.1, -0.04), "The encoder is worse than a random encoder by 0.070 (0.040 to 0.100): "
                               "the 95 % interval excludes 0."),
        ((0.07, 0.0, 0.1), "The encoder is not shown to be better than a random encoder: the difference is +0.070, and "
                           "the 95 % interval (+0.000 to +0.100) holds 0."),
        ((0.07, float("nan"), float("nan")), "The encoder is not shown to be better than a random encoder: the "
                                             "difference is +0.070, and one patient gives no interval."),
    ],
)  # fmt: skip
def test_a_sentence_says_no_more_than_the_interval(values, sentence):
    ignored = [row(1, 1, 1, measure="auroc"), row(1, 1, 1, protocol="knn"), row(1, 1, 1, minus=None)]
    assert conclusions([*ignored, row(*values)], 0.95) == [sentence]


def test_sets_that_the_encoder_knows_are_named():
    facts = {"n_test_groups": 50, "unit": "patients", "is_random": False, "has_baselines": True}
    assert cautions(**facts) == []
    (caution,) = cautions(**facts, trained_on=["chest X-rays", "smears"])
    assert "chest X-rays, smears" in caution
