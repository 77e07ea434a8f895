import numpy as np
import pandas as pd
import pytest

import ssl_robust as sr
from ssl_robust.records import Embeddings
from ssl_robust.transfer.protocols import Problem, make_protocols
from ssl_robust.transfer.results import compare

FAST = {"n_resamples": 200, "few_draws": 2, "few_labels": [0.1]}


def problem(seed=0, *, n_patients=120, n_classes=3):
    """Labels, splits and patients of two scans each; labels differ between the scans of a patient."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_patients), 2)
    labels = rng.integers(n_classes, size=len(groups))
    splits = np.where(groups < n_patients // 2, "train", "test").astype(object)
    splits[groups % 10 == 0] = "val"
    return labels, splits, groups


def of(table, features="encoder", protocol="logistic", measure="balanced_accuracy", minus=None):
    same = (table["features"] == features) & (table["protocol"] == protocol) & (table["measure"] == measure)
    same &= table["minus"].isna() if minus is None else (table["minus"] == minus).fillna(False)
    (row,) = table[same].to_dict("records")
    return row["value"], row["low"], row["high"]


def test_classes_that_lie_apart_are_found_with_certainty():
    labels, splits, groups = problem()
    table = sr.probe(9.0 * np.eye(3)[labels], labels, splits=splits, groups=groups, **FAST)
    assert set(table["protocol"]) == {"knn", "logistic", "few 10%"}
    assert (table[["value", "low", "high"]] == 1).all(axis=None)


def test_features_that_say_nothing_are_by_chance():
    labels, splits, groups = problem(n_patients=600)
    vectors = np.random.default_rng(1).normal(size=(len(labels), 6))
    table = sr.probe(vectors, labels, splits=splits, groups=groups, **FAST)
    for protocol in ("knn", "logistic", "few 10%"):
        value, low, high = of(table, protocol=protocol)
        assert low < 1 / 3 < high
        assert low < value < high
    assert of(table, measure="auroc")[1] < 0.5 < of(table, measure="auroc")[2]


def test_the_difference_of_equal_features_is_nothing_and_of_better_ones_is_paired():
    labels, splits, groups = problem()
    rng = np.random.default_rng(2)
    weak = np.eye(3)[labels] + rng.normal(size=(len(labels), 3))
    features = {"mine": weak, "same": weak.copy(), "better": weak + 2 * np.eye(3)[labels]}
    table = sr.probe(features, labels, splits=splits, groups=groups, **FAST)
    assert (table.loc[table["minus"] == "same", ["value", "low", "high"]] == 0).all(axis=None)
    value, low, high = of(table, features="mine", minus="better")
    assert value == pytest.approx(of(table, features="mine")[0] - of(table, features="better")[0])
    assert low < value < high < 0
    assert len(table) == (3 + 2) * 3 * 4


def test_the_order_of_the_test_samples_changes_nothing():
    labels, splits, groups = problem()
    vectors = np.eye(3)[labels] + np.random.default_rng(3).normal(size=(len(labels), 3))
    order = np.arange(len(labels))
    test = np.flatnonzero(splits == "test")
    order[test] = np.random.default_rng(4).permutation(test)
    one = sr.probe(vectors, labels, splits=splits, groups=groups, **FAST)
    other = sr.probe(vectors[order], labels[order], splits=splits[order], groups=groups[order], **FAST)
    pd.testing.assert_frame_equal(one, other, rtol=1e-9)


def test_only_test_samples_are_measured_and_only_training_samples_fitted():
    """Training labels turned round turn every answer round; labels of val change nothing."""
    labels, splits, groups = problem(n_classes=2)
    vectors = 9.0 * np.eye(2)[labels]
    turned = np.where(splits == "train", 1 - labels, labels)
    table = sr.probe(vectors, turned, splits=splits, groups=groups, **FAST)
    assert of(table)[0] == of(table, protocol="knn")[0] == of(table, protocol="few 10%")[0] == 0
    noise = np.where(splits == "val", 1 - labels, labels)
    pd.testing.assert_frame_equal(
        sr.probe(vectors, noise, splits=splits, groups=groups, **FAST),
        sr.probe(vectors, labels, splits=splits, groups=groups, **FAST),
    )


def test_few_labels_come_from_the_training_split():
    labels, splits, groups = problem()
    train, test = (np.flatnonzero(splits == name) for name in ("train", "test"))
    made = make_protocols(Problem(train, test, labels, labels, groups, 3), few_labels=[0.05, 0.2], few_draws=3, seed=0)
    assert [protocol.name for protocol in made] == ["knn", "logistic", "few 5%", "few 20%"]
    for protocol in made:
        assert len(protocol.fitted_to) == (1 if protocol.share == 1 else 3)
        assert all(set(rows) <= set(train) for rows in protocol.fitted_to)


def test_nothing_is_fitted_to_the_truth():
    """Where labels are noisy on purpose, the true ones of train are known and must not be looked at."""
    labels, splits, groups = problem()
    train, test = (np.flatnonzero(splits == name) for name in ("train", "test"))
    vectors = np.eye(3)[labels] + np.random.default_rng(3).normal(size=(len(labels), 3))
    hidden = np.where(splits == "train", -1, labels)
    settings = {"knn": {"k": 5, "temperature": 0.1}, "few_labels": [0.2], "few_draws": 2, "seed": 0,
                "bootstrap": {"n_resamples": 20, "level": 0.9}}  # fmt: skip
    known, blind = (
        compare({"encoder": vectors}, Problem(train, test, labels, truth, groups, 3), settings=settings).table()
        for truth in (labels, hidden)
    )
    pd.testing.assert_frame_equal(known, blind)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"few_labels": 0.1}, "few_labels=0.1 is no list"),
        ({"few_draws": 0}, "^few_draws=0 is no positive"),
        ({"k": 0}, "^k=0 is no positive"),
        ({"level": 95}, "^level=95 does not fit"),
    ],
)
def test_settings_that_do_not_fit_are_told_at_once(options, sentence):
    labels, splits, groups = problem()
    with pytest.raises(ValueError, match=sentence):
        sr.probe(9.0 * np.eye(3)[labels], labels, splits=splits, groups=groups, **{**FAST, **options})


def test_one_patient_gives_no_interval():
    labels, splits, groups = problem()
    groups[splits == "test"] = 999
    value, low, high = of(sr.probe(9.0 * np.eye(3)[labels], labels, splits=splits, groups=groups, **FAST))
    assert value == 1
    assert np.isnan([low, high]).all()


def test_embeddings_bring_everything_along():
    labels, splits, groups = problem()
    vectors = np.eye(3)[labels] + np.random.default_rng(3).normal(size=(len(labels), 3))
    samples = pd.DataFrame({"sample_id": range(len(labels)), "label": labels, "split": splits, "patient_id": groups})
    pd.testing.assert_frame_equal(
        sr.probe(Embeddings(vectors, samples), **FAST),
        sr.probe(vectors, labels, splits=splits, groups=groups, **FAST),
    )


def test_what_cannot_be_measured_is_refused():
    labels, splits, groups = problem()
    vectors = np.zeros((len(labels), 2))
    with pytest.raises(ValueError, match=r"1 groups have samples in train and in test"):
        sr.probe(vectors, labels, splits=splits, groups=np.where(groups == groups[-1], 1, groups))
    with pytest.raises(ValueError, match="needs labels and splits"):
        sr.probe(vectors, labels)
    with pytest.raises(ValueError, match="split 'test'"):
        sr.probe(vectors, labels, splits=np.full(len(labels), "train"))
    with pytest.raises(ValueError, match=r"\(3, 2\) and there are 240 labels"):
        sr.probe(vectors[:3], labels, splits=splits)
    with pytest.raises(ValueError, match="class 2 has test samples and no training"):
        sr.probe(vectors, np.where((splits == "train") & (labels == 2), 0, labels), splits=splits, groups=groups)
    vectors[7, 1] = np.nan
    with pytest.raises(ValueError, match="infinity in row 7"):
        sr.probe(vectors, labels, splits=splits)
