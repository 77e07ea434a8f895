import numpy as np
import pandas as pd
import pytest
from planted import opened, textures

from ssl_robust.check.appearance import appearance
from ssl_robust.check.shortcuts import Shortcut, find_shortcuts, judge_shortcuts, properties
from ssl_robust.settings import defaults

SETTINGS = defaults("", "check")["shortcuts"]
RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], 100)
ALONE = np.arange(200)


def measured(values, labels=LABELS, groups=ALONE):
    return find_shortcuts({"x": np.reshape(values, (len(labels), -1)).astype(float)}, labels, groups, SETTINGS, seed=0)


def test_what_follows_the_label_is_a_problem_and_what_does_not_is_fine():
    size = np.where(LABELS, 5000, 4000) + RNG.integers(0, 900, 200)
    (told,) = measured(size)
    assert told.estimate == told.low == told.high == 1
    assert told.chance == 0.5
    assert [each.severity for each in judge_shortcuts([told], SETTINGS)] == ["problem"]
    (told,) = measured(RNG.permutation(size))
    assert told.low < 0.5 < told.high
    (finding,) = judge_shortcuts([told], SETTINGS)
    assert (finding.severity, finding.text) == ("fine", "The class cannot be told from x alone")


def test_a_patient_is_never_learned_and_predicted():
    """Each patient has one label and one folder: a folder tells the label of scans whose patient is known."""
    patients = np.repeat(np.arange(16), 20)
    labels = RNG.permutation(np.repeat([0, 1], 8))[patients]
    folders = np.eye(16)[patients]
    assert measured(folders, labels, patients)[0].estimate < 0.65
    assert measured(folders, labels, np.arange(320))[0].estimate > 0.9


def test_rare_and_missing_labels_are_left_out():
    labels = LABELS.copy()
    labels[:3], labels[3:10] = 2, -1
    (told,) = measured(labels, labels)
    assert told.chance == 0.5
    assert told.estimate == 1
    assert measured(LABELS, np.zeros(200, np.int64)) == []
    assert measured(LABELS, np.full(200, -1)) == []


def test_unknown_values_are_allowed():
    values = np.where(LABELS, 2.0, 1.0)
    values[::7] = np.nan
    assert measured(values)[0].estimate > 0.9


@pytest.mark.parametrize(
    ("name", "low", "severities"),
    [
        ("margins", 0.8, ["problem"]),
        ("margins", 0.6, ["look"]),
        ("margins", 0.45, ["fine"]),
        ("brightness and color", 0.9, ["look"]),  # the disease may be brighter
    ],
)
def test_how_serious_a_shortcut_is(name, low, severities):
    told = judge_shortcuts([Shortcut(name, low + 0.05, low, low + 0.1, 0.5)], SETTINGS)
    assert [each.severity for each in told] == severities


def test_brightness_of_the_scans_is_tried_and_what_never_varies_is_not(tmp_path):
    images = textures(200)
    images[100:] += 25
    scans = opened(tmp_path, images, LABELS)
    facts = pd.DataFrame({"bytes": np.nan, "height": 64.0, "width": 64.0, "bits": "8"}, index=range(200))
    named = properties(facts, None, appearance(scans, np.full((200, 2), 64.0)))
    assert set(named) == {"brightness and color"}
    (told,) = find_shortcuts(named, LABELS, ALONE, SETTINGS, seed=0)
    assert told.estimate > 0.95
    assert find_shortcuts(named, LABELS, ALONE, SETTINGS, seed=0) == [told]


def test_texts_and_numbers_of_files(tmp_path):
    scans = opened(tmp_path, textures(200), LABELS)
    texts = np.where(LABELS, "JPEG", "PNG")
    facts = pd.DataFrame({"bytes": 9.0, "height": 64.0, "width": 60.0 + LABELS, "format": texts})
    named = properties(facts, np.zeros(200, np.int64), appearance(scans, np.full((200, 2), 64.0)))
    assert named["kind of file"].shape == (200, 2)
    assert not {"folder", "file size in bytes"} & set(named)
    found = {each.name: each.estimate for each in find_shortcuts(named, LABELS, ALONE, SETTINGS, seed=0)}
    assert found["kind of file"] == found["size in pixels"] == 1
