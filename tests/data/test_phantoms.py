"""The embedded data: reproducible, hard for colours alone, with patients."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.data.phantom_render import CLASSES, LESIONS, Plan, render
from ssl_robust.data.phantoms import PhantomSource, make_phantoms, plan_phantoms
from ssl_robust.run import UserError

SMALL = {"n_patients": 6, "scans_per_patient": 3, "size": 32, "channels": 3, "difficulty": 0.5, "imbalance": 1}


def make(seed=0, **changes):
    return make_phantoms(**{**SMALL, **changes}, seed=seed)


def one_of_each(n=32, difficulty=0.0, channels=3):
    labels = np.repeat(np.arange(len(CLASSES)), n)
    return Plan(labels, np.arange(len(labels)), 0, 48, channels, difficulty)


def test_the_seed_decides_everything():
    first, again, other = make(), make(), make(seed=1)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.images != other.images).mean() > 0.5
    assert first.images.dtype == np.uint8
    assert first.images.shape == (18, 32, 32, 3)


def test_a_scan_does_not_depend_on_what_is_drawn_beside_it():
    plan = plan_phantoms(**SMALL, seed=3)
    whole = render(plan, np.arange(18))
    np.testing.assert_array_equal(render(plan, np.array([7, 2])), whole[[7, 2]])


def test_reading_is_the_same_across_chunks():
    plan = plan_phantoms(**{**SMALL, "n_patients": 30, "size": 16}, seed=0)
    source = PhantomSource(plan)
    backwards = [source.read(row) for row in reversed(range(len(plan.labels)))][::-1]
    np.testing.assert_array_equal(backwards, render(plan, np.arange(len(plan.labels))))


@pytest.mark.parametrize(("channels", "shape"), [(1, (18, 32, 32)), (3, (18, 32, 32, 3))])
def test_grey_or_stained(channels, shape):
    images = make(channels=channels).images
    assert images.shape == shape
    assert images.std() > 10


def test_imbalance_is_the_ratio_of_the_extremes():
    labels = plan_phantoms(**{**SMALL, "n_patients": 20000, "scans_per_patient": 1, "imbalance": 8}, seed=0).labels
    counts = np.sort(np.bincount(labels))
    assert len(counts) == len(CLASSES) >= 6
    assert counts[-1] / counts[0] == pytest.approx(8, rel=0.15)
    even = np.bincount(plan_phantoms(**{**SMALL, "n_patients": 20000, "scans_per_patient": 1}, seed=0).labels)
    assert even.max() / even.min() < 1.15


def test_patients_have_a_class_and_a_look_of_their_own():
    phantoms = make(n_patients=20, scans_per_patient=10)
    labels = phantoms.labels.reshape(20, 10)
    assert np.mean([np.bincount(row).max() / 10 for row in labels]) > 0.5
    # How much darker red is than blue: a matter of the stain, which is the patient's, and hardly of light and dose.
    red, _, blue = np.log(phantoms.images.mean(axis=(1, 2))).T
    hue = (red - blue).reshape(20, 10)
    assert hue.mean(axis=1).std() > hue.std(axis=1).mean()


def test_lesions_of_every_kind_take_the_same_stain():
    """Brightness must not tell the classes apart: their means differ less than scans of one class do."""
    plan = one_of_each()
    means = render(plan, np.arange(len(plan.labels))).mean(axis=(1, 2, 3)).reshape(len(CLASSES), -1)
    assert means.mean(axis=1).std() < 0.5 * means.std(axis=1).mean()


def test_color_histograms_hardly_classify():
    phantoms = make(n_patients=300, scans_per_patient=4, size=24)
    histograms = np.array(
        [[np.histogram(scan[..., c], 16, (0, 256))[0] for c in range(3)] for scan in phantoms.images]
    ).reshape(len(phantoms.images), -1)
    train = phantoms.patients < 200
    forest = RandomForestClassifier(100, random_state=0).fit(histograms[train], phantoms.labels[train])
    accuracy = balanced_accuracy_score(phantoms.labels[~train], forest.predict(histograms[~train]))
    assert accuracy < 0.35


def test_shapes_do_classify():
    """The middle of a lesion tells rings from full discs: there is truth in the pictures."""
    plan = one_of_each(difficulty=0.0, channels=1)
    images = render(plan, np.arange(len(plan.labels))).astype(float)
    kind = plan.labels % len(LESIONS)
    # A full disc keeps a dark core when a wide window is averaged; a ring of the same area does not.
    windows = np.lib.stride_tricks.sliding_window_view(images, (7, 7), axis=(1, 2)).mean(axis=(-1, -2))
    darkest = windows.min(axis=(1, 2)) / images.mean(axis=(1, 2))
    discs, rings = (darkest[kind == LESIONS.index(name)] for name in ("round", "ring"))
    assert (discs[:, None] < rings[None]).mean() > 0.8


def test_manifest_has_patients_splits_and_the_truth():
    manifest = load_manifest(data_settings("phantoms", n_patients=40, scans_per_patient=5, size=16))
    assert len(manifest) == 200
    assert manifest.classes == CLASSES
    assert manifest.table["sample_id"][12] == "phantom-00012"
    assert (manifest.table["label"] == manifest.table["true_label"]).all()
    splits_of_patient = manifest.table.groupby("patient_id")["split"].nunique()
    assert len(splits_of_patient) == 40
    assert splits_of_patient.max() == 1
    assert set(manifest.table["split"]) == {"train", "val", "test"}
    assert manifest.source.read(3).shape == (16, 16, 3)


def test_fingerprint_follows_the_pictures():
    prints = {
        load_manifest(data_settings("phantoms", **{"n_patients": 8, "size": 16, **change})).fingerprint
        for change in ({}, {"seed": 1}, {"color": False}, {"difficulty": 0.1}, {"size": 24})
    }
    assert len(prints) == 5


@pytest.mark.parametrize("change", [{"n_patients": 0}, {"size": 8}, {"difficulty": 2}, {"imbalance": 0.5}])
def test_impossible_values_are_refused_in_one_sentence(change):
    with pytest.raises(UserError, match="data=phantoms: expected"):
        load_manifest(data_settings("phantoms", **change))
