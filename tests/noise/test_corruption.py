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

KINDS = [kind for kind in choices("noise") if kind != "recorded"]  # the others are drawn


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


def looks(n, dim=12):
    return np.random.default_rng(9).normal(size=(n, dim))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_its_rate_and_describes_what_it_did(kind):
    labels = balanced(1000, 4)
    got = corrupt(labels, kind=kind, seed=0, features=looks(4000))
    rate = defaults("noise", kind).get("rate", 0.0)
    if kind == "raters":
        rate = 1 - np.mean([0.72, 0.78, 0.99, 0.95])
    low, high = binom.interval(1 - 1e-6, len(labels), rate)
    assert low <= got.flipped.sum() <= high
    assert got.realised_rate == pytest.approx((got.labels != labels).mean()) == got.flipped.mean()
    np.testing.assert_allclose(got.transition.sum(axis=1), 1)
    assert np.diag(got.transition).mean() == pytest.approx(1 - rate, abs=0.03)
    assert got.rate == pytest.approx(np.nan if kind == "raters" else rate, nan_ok=True)
    assert (got.kind, got.by) == (kind, "sample")
    np.testing.assert_array_equal(got.labels, corrupt(labels, kind=kind, seed=0, features=looks(4000)).labels)
    if rate:
        assert (got.labels != corrupt(labels, kind=kind, seed=1, features=looks(4000)).labels).any()


def test_symmetric_reaches_all_other_classes_alike():
    got = corrupt(balanced(3000, 4), kind="symmetric", rate=0.6, seed=3)
    off = got.transition[~np.eye(4, dtype=bool)]
    assert off == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / 3000))


@pytest.mark.parametrize("kind", ["symmetric", "instance_dependent"])
def test_wrong_labels_of_a_low_rate_are_wrong_at_a_high_rate(kind):
    labels = balanced(200, 4)
    low, high = (corrupt(labels, kind=kind, rate=rate, seed=0, features=looks(800)) for rate in (0.2, 0.5))
    assert high.flipped[low.flipped].all()
    np.testing.assert_array_equal(low.labels[low.flipped], high.labels[low.flipped])
    assert corrupt(labels, kind=kind, rate=0.0, seed=0, features=looks(800)).realised_rate == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(KINDS), st.sampled_from(["sample", "patient"]))
def test_noise_hangs_on_the_id_and_on_nothing_else(seed, kind, by):
    rng = np.random.default_rng(seed)
    labels, ids, seen = rng.integers(4, size=60), np.array([f"id {i}" for i in range(60)]), looks(60)
    patients = rng.integers(20, size=60).astype(str)
    chosen = rng.permutation(60)[:40]
    more = {} if kind == "none" else {"by": by}
    whole, part = (
        corrupt(labels[rows], kind=kind, seed=seed, ids=ids[rows], groups=patients[rows], features=seen[rows],
                n_classes=4, **more)
        for rows in (np.arange(60), chosen)
    )  # fmt: skip
    np.testing.assert_array_equal(part.labels, whole.labels[chosen])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_all_scans_of_a_patient_are_wrong_together(kind):
    labels, patients = np.repeat(balanced(50, 4), 6), np.repeat(np.arange(200), 6)
    ids = np.arange(1200).astype(str)
    got = corrupt(labels, kind=kind, seed=0, ids=ids, groups=patients, by="patient", features=looks(1200))
    of_patient = got.flipped.reshape(200, 6)
    assert (of_patient == of_patient[:, :1]).all()
    assert 0 < got.realised_rate < 0.5
    assert got.by == "patient"
    alone = corrupt(labels, kind=kind, seed=0, ids=patients, features=looks(1200))
    np.testing.assert_array_equal(got.labels, alone.labels)


def test_a_scan_whose_patient_is_missing_flips_alone():
    labels, patients = np.zeros(400, dtype=int), pd.Series([pd.NA] * 200 + ["a"] * 200, dtype="string")
    ids = np.arange(400).astype(str)
    got = corrupt(labels, kind="symmetric", seed=0, n_classes=3, ids=ids, groups=patients, by="patient")
    own = corrupt(labels, kind="symmetric", seed=0, n_classes=3, ids=ids)
    np.testing.assert_array_equal(got.flipped[:200], own.flipped[:200])
    assert len(set(got.labels[200:])) == 1


def test_readers_do_what_was_published():
    got = corrupt(balanced(4000, 4), kind="raters", matrix="chaoyang_b", seed=0)
    published = [[0.94, 0.06, 0, 0], [0.34, 0.57, 0.01, 0.08], [0.02, 0.01, 0.96, 0.01], [0.15, 0.24, 0.01, 0.6]]
    np.testing.assert_allclose(got.transition, published, atol=0.04)
    given = corrupt(balanced(4000, 4), kind="raters", matrix=published, seed=0)
    np.testing.assert_array_equal(got.labels, given.labels)


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
        ({"kind": "symetric"}, "class_dependent, instance_dependent, none, raters, recorded, symmetric"),
        ({"kind": "instance_dependent", "rate": 0.67}, "less than 1 - 1/3 = 0.667"),
        ({"kind": "instance_dependent"}, "give features="),
        ({"kind": "instance_dependent", "features": np.ones(3)}, r"features .* got shape \(3,\)"),
        ({"kind": "instance_dependent", "features": np.ones((2, 4))}, "3 labels and 2 features"),
        ({"kind": "instance_dependent", "std": 0}, "std=0 .* above zero"),
        ({"kind": "raters"}, "'chaoyang_a' tells 4 classes apart and the labels have 3"),
        ({"kind": "raters", "matrix": "chaoyang_c"}, "no reader; expected one of chaoyang_a, chaoyang_b"),
        ({"kind": "raters", "matrix": [[1, 0, 0], [0, 0.5, 0.4], [0, 0, 1]]}, r"row 2 .* sum 0\.9"),
        ({"kind": "symmetric", "by": "patients"}, "by='patients' does not fit; expected sample or patient"),
        ({"kind": "symmetric", "by": "patient"}, "give groups="),
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


def test_manifest_noise_by_patient():
    labels, patients = balanced(100, 3), np.arange(300) // 3
    scans = manifest(labels, ["train"] * 300)
    noise = {"_target_": "ssl_robust.noise.transitions.symmetric", "rate": 0.4, "by": "patient"}
    with pytest.raises(UserError, match=r"noise=symmetric: by=patient, .*data\.columns\.patient_id="):
        noise_labels(scans, noise, 0)
    scans.table["patient_id"] = pd.Series([f"p{code}" for code in patients], dtype="string")
    flipped = noise_labels(scans, noise, 0).flipped.reshape(100, 3)
    assert (flipped == flipped[:, :1]).all()
    assert 0 < flipped.mean() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_yaml_works_as_composed(kind):
    noise = compose("finetune", [f"noise={kind}", "data=phantoms", "checkpoint=none"]).noise
    scans = manifest(balanced(40, 4), ["train", "train", "val", "test"] * 40, classes=("a", "b", "c", "d"))
    pixels = np.random.default_rng(0).integers(255, size=(160, 20, 20, 1), dtype=np.uint8)
    got = noise_labels(scans, noise, 0, pixels)
    assert got.kind == kind
    assert not got.flipped[3::4].any()


def test_manifest_noise_without_what_it_looks_at():
    noise = {"_target_": "ssl_robust.noise.transitions.instance_dependent"}
    with pytest.raises(UserError, match="noise=instance_dependent: .* give features="):
        noise_labels(manifest([0, 1, 2], ["train"] * 3), noise, 0)


def test_the_noise_is_held_while_the_run_has_another_seed():
    scans = manifest(balanced(100, 3), ["train"] * 300)
    noise = {"_target_": "ssl_robust.noise.transitions.symmetric", "rate": 0.4}
    held = [noise_labels(scans, {**noise, "seed": 7}, seed).labels for seed in (0, 1, 7)]
    np.testing.assert_array_equal(held[0], held[1])
    np.testing.assert_array_equal(held[0], noise_labels(scans, noise, 7).labels)
    assert (held[0] != noise_labels(scans, {**noise, "seed": None}, 0).labels).any()
