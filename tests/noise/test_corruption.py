from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ssl_robust.data.manifest import Manifest
from ssl_robust.noise.corruption import corrupt, noise_labels
from ssl_robust.run import UserError
from ssl_robust.settings import choices, compose, defaults


def manifest(labels, splits, classes=("a", "b", "c")):
    n = len(labels)
    table = pd.DataFrame(
        {
            "sample_id": [f"scan-{i}" for i in range(n)],
            "path": [f"scan-{i}" for i in range(n)],
            "label": [None if code < 0 else classes[code] for code in labels],
            "patient_id": [None] * n,
            "split": splits,
            "true_label": [None] * n,
        },
        dtype="string",
    )
    return Manifest(table, tuple(classes), SimpleNamespace(fingerprint="x", state="x", files=None))


def balanced(n_per_class, n_classes):
    return np.tile(np.arange(n_classes), n_per_class)


@pytest.mark.parametrize("kind", choices("noise"))
def test_every_kind_keeps_its_rate_and_describes_what_it_did(kind):
    labels = balanced(800, 5)
    got = corrupt(labels, kind=kind, seed=0)
    rate = defaults("noise", kind).get("rate", 0.0)
    low, high = binom.interval(1 - 1e-6, len(labels), rate)
    assert low <= got.flipped.sum() <= high
    assert got.realised_rate == pytest.approx((got.labels != labels).mean()) == got.flipped.mean()
    np.testing.assert_allclose(got.transition.sum(axis=1), 1)
    assert np.diag(got.transition) == pytest.approx(1 - rate, abs=0.1)
    assert got.rate == rate
    assert got.kind == kind
    np.testing.assert_array_equal(got.labels, corrupt(labels, kind=kind, seed=0).labels)
    if rate:
        assert (got.labels != corrupt(labels, kind=kind, seed=1).labels).any()


def test_symmetric_reaches_all_other_classes_alike():
    got = corrupt(balanced(3000, 4), kind="symmetric", rate=0.6, seed=3)
    off = got.transition[~np.eye(4, dtype=bool)]
    assert off == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / 3000))


def test_wrong_labels_of_a_low_rate_are_wrong_at_a_high_rate():
    labels = balanced(200, 4)
    low, high = (corrupt(labels, kind="symmetric", rate=rate, seed=0) for rate in (0.2, 0.5))
    assert high.flipped[low.flipped].all()
    np.testing.assert_array_equal(low.labels[low.flipped], high.labels[low.flipped])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["symmetric", "class_dependent"]))
def test_noise_hangs_on_the_id_and_on_nothing_else(seed, kind):
    rng = np.random.default_rng(seed)
    labels, ids = rng.integers(4, size=60), np.array([f"id {i}" for i in range(60)])
    whole = corrupt(labels, kind=kind, seed=seed, ids=ids, n_classes=4)
    chosen = rng.permutation(60)[:40]
    part = corrupt(labels[chosen], kind=kind, seed=seed, ids=ids[chosen], n_classes=4)
    np.testing.assert_array_equal(part.labels, whole.labels[chosen])


def test_samples_of_one_id_flip_together():
    patients = np.repeat(np.arange(50), 6)
    got = corrupt(np.repeat(balanced(10, 5), 6), kind="symmetric", seed=0, ids=patients)
    by_patient = got.labels.reshape(50, 6)
    assert (by_patient == by_patient[:, :1]).all()
    assert 0 < got.realised_rate < 1


def test_class_dependent_stays_inside_the_groups():
    classes = ("nevus", "melanoma", "bcc", "df")
    got = corrupt(
        balanced(1000, 4),
        kind="class_dependent",
        seed=0,
        rate=0.4,
        classes=classes,
        class_groups=[["bcc", "nevus", "melanoma"]],
    )
    assert got.transition[3, 3] == 1
    assert got.transition[:3, 3].sum() == 0
    assert got.transition[0, 1] == pytest.approx(0.2, abs=0.07)


def test_class_dependent_without_groups_takes_the_next_class():
    got = corrupt(balanced(500, 3), kind="class_dependent", seed=0, rate=0.3)
    assert got.transition[0, 2] == got.transition[1, 0] == got.transition[2, 1] == 0
    assert got.transition[2, 0] == pytest.approx(0.3, abs=0.1)


def test_matrix_is_realised():
    matrix = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.2, 0.7]])
    got = corrupt(balanced(4000, 3), kind="class_dependent", seed=5, matrix=matrix)
    np.testing.assert_allclose(got.transition, matrix, atol=0.04)
    assert (got.transition[matrix == 0] == 0).all()
    assert np.isnan(got.rate)


def test_unlabelled_and_hardly_any_samples():
    got = corrupt([-1, 0, -1, 1], kind="symmetric", seed=0, rate=0.4)
    assert got.labels[[0, 2]].tolist() == [-1, -1]
    assert not got.flipped[[0, 2]].any()
    assert corrupt([], kind="none", seed=0).realised_rate == 0
    absent = corrupt([0, 0], kind="symmetric", seed=0, n_classes=3)
    assert np.isnan(absent.transition[1:]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "symmetric", "rate": 0.67}, "less than 1 - 1/3 = 0.667"),
        ({"kind": "symmetric", "rate": -0.1}, "from 0 to 1"),
        ({"kind": "symmetric", "rate": "many"}, "not a number"),
        ({"kind": "class_dependent", "rate": 0.5}, "less than 1 - 1/2"),
        ({"kind": "class_dependent", "class_groups": [["a", "b"], ["b", "c"]]}, "'b' twice"),
        ({"kind": "class_dependent", "class_groups": [["a", "bb"]]}, "did you mean 'b'"),
        ({"kind": "class_dependent", "class_groups": ["ab"]}, "list of lists"),
        ({"kind": "class_dependent", "matrix": [[1, 0], [0, 1]]}, r"\(2, 2\) for 3 classes"),
        ({"kind": "class_dependent", "matrix": [[1, 0, 0], [0, 0.5, 0.4], [0, 0, 1]]}, r"row 2 .* sum 0\.9"),
        ({"kind": "class_dependent", "matrix": "T.csv"}, "table of numbers"),
        ({"kind": "symetric"}, "class_dependent, none, symmetric"),
        ({"kind": "symmetric", "ratio": 0.1}, "takes no ratio; it takes rate"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        corrupt([0, 1, 2], seed=0, classes=("a", "b", "c"), **settings)


def test_arrays_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="3 labels and 2 ids"):
        corrupt([0, 1, 2], kind="none", seed=0, ids=["a", "b"])
    with pytest.raises(ValueError, match=r"\[0, 2\], expected -1 or \[0, 2\)"):
        corrupt([0, 1, 2], kind="none", seed=0, n_classes=2)
    with pytest.raises(ValueError, match="ints"):
        corrupt([0.0, 1.0], kind="none", seed=0)


def test_manifest_noise_never_touches_the_test_split():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 3, size=900)
    scans = manifest(labels, np.tile(["train", "val", "test"], 300))
    noise = {"_target_": "ssl_robust.noise.transitions.symmetric", "rate": 0.5}
    got = noise_labels(scans, noise, 0)
    test = scans.rows("test")
    np.testing.assert_array_equal(got.labels[test], labels[test])
    assert got.flipped[scans.rows("train")].any()
    assert got.flipped[scans.rows("val")].any()
    assert (got.labels[labels == -1] == -1).all()
    assert got.realised_rate == pytest.approx(0.5, abs=0.1)
    alone = corrupt(labels, kind="symmetric", rate=0.5, seed=0, ids=scans.table["sample_id"], n_classes=3)
    np.testing.assert_array_equal(alone.labels[scans.rows("train", "val")], got.labels[scans.rows("train", "val")])


def test_manifest_noise_refuses_what_cannot_be():
    noise = {"_target_": "ssl_robust.noise.transitions.symmetric", "rate": 0.9}
    with pytest.raises(UserError, match=r"noise=symmetric: rate=0\.9"):
        noise_labels(manifest([0, 1, 2], ["train"] * 3), noise, 0)
    with pytest.raises(UserError, match="fewer than two classes"):
        noise_labels(manifest([1, 1, -1], ["train"] * 3), noise, 0)
    always = {
        "_target_": "ssl_robust.noise.transitions.class_dependent",
        "matrix": [[1, 0, 0], [1, 0, 0], [0, 0, 1]],
    }
    with pytest.raises(UserError, match=r"labelled 'b' \(1 before"):
        noise_labels(manifest([0, 0, 1, 2], ["train"] * 4), always, 0)


@pytest.mark.parametrize("kind", choices("noise"))
def test_every_yaml_works_as_composed(kind):
    noise = compose("finetune", [f"noise={kind}", "data=phantoms", "checkpoint=none"]).noise
    got = noise_labels(manifest(balanced(40, 3), ["train"] * 120), noise, 0)
    assert got.kind == kind
