import numpy as np
import pytest
from PIL import Image
from planted import opened, textures
from scipy.ndimage import gaussian_filter

from ssl_robust.check.appearance import appearance
from ssl_robust.check.duplicates import find_duplicates, judge_duplicates
from ssl_robust.data.manifest import data_settings
from ssl_robust.data.scanset import open_scans
from ssl_robust.settings import defaults

SETTINGS = defaults("", "check")["duplicates"]
RNG = np.random.default_rng(5)
CHANGES = {
    "copied": lambda scan: scan,
    "brighter": lambda scan: np.minimum(scan * 1.1 + 8, 255),
    "noisy": lambda scan: np.clip(scan + RNG.normal(0, 10, scan.shape), 0, 255),
    "marked": lambda scan: np.where(np.hypot(*np.indices(scan.shape) - 20) < 6, 255, scan),
    "blurred": lambda scan: gaussian_filter(scan.astype(float), 1),
    "moved by a pixel": lambda scan: np.roll(scan, 1, axis=1),
}


def found(scans, usable=None):
    look = appearance(scans, np.full((len(scans), 2), np.nan))
    usable = np.ones(len(scans), dtype=bool) if usable is None else usable
    return find_duplicates(look, scans.manifest, usable, SETTINGS, seed=0)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change, tmp_path):
    images = textures(60)
    images[33] = CHANGES[change](images[7]).round().astype(np.uint8)
    clusters = found(opened(tmp_path, images))
    assert [each.rows.tolist() for each in clusters] == [[7, 33]]
    assert clusters[0].identical == (change == "copied")
    assert clusters[0].differ == []


@pytest.mark.parametrize("share", [0.7, 0.85])
def test_look_alikes_are_no_copies_but_a_copy_among_them_is_found(share, tmp_path):
    """All share a strong form, as chest X-rays do: any fixed similarity would join them or miss the copy."""
    images = (share * textures(1, seed=1).astype(float) + (1 - share) * textures(80, seed=2)).round().astype(np.uint8)
    scans = opened(tmp_path, images)
    fine = appearance(scans, np.full((80, 2), np.nan)).fine.astype(float)
    assert np.median(fine @ fine.T) > (0.95 if share > 0.8 else 0.8)
    assert found(scans) == []
    images[50] = np.clip(images[20] + RNG.normal(0, 1, images[20].shape), 0, 255)
    assert [each.rows.tolist() for each in found(opened(tmp_path, images))] == [[20, 50]]


def test_worst_first_and_what_differs(tmp_path):
    images = textures(60)
    for copy, first in ((11, 10), (21, 20), (55, 30), (41, 40), (42, 40)):
        images[copy] = images[first]
    labels, patients = np.zeros(60, np.int64), [f"p{row}" for row in range(60)]
    labels[41] = 1
    patients[11] = "p10"
    scans = opened(tmp_path, images, labels, patients=patients, splits=["train"] * 50 + ["test"] * 10)
    clusters = found(scans)
    assert [each.rows.tolist() for each in clusters] == [[40, 41, 42], [30, 55], [20, 21], [10, 11]]
    assert [each.differ for each in clusters] == [["labels", "patients"], ["splits", "patients"], ["patients"], []]
    told = judge_duplicates(clusters, scans.manifest.table["sample_id"].to_numpy(), has_patients=True)
    assert [each.severity for each in told] == ["problem", "problem", "look", "look"]
    assert told[0].text.startswith("The same picture under two labels: 1 group, 3 scans")
    assert told[0].scans == ["train/40", "train/41", "train/42"]
    assert told[1].scans == ["train/30", "test/5"]
    assert "1 group of exact copies" in told[3].text


def test_a_missing_label_is_no_other_label(tmp_path):
    images = textures(20)
    images[4] = images[3]
    labels = np.zeros(20, np.int64)
    labels[4] = -1
    assert [each.differ for each in found(opened(tmp_path, images, labels))] == [[]]


def test_scans_that_show_nothing_are_no_copies(tmp_path):
    images = textures(20)
    images[[2, 9]] = 77
    usable = np.ones(20, dtype=bool)
    usable[[2, 9]] = False
    assert found(opened(tmp_path, images), usable) == []


def test_pages_of_one_file_are_not_compared(tmp_path):
    pages = [Image.fromarray(each) for each in textures(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=[pages[0], pages[1]])
    pages[2].save(tmp_path / "b.png")
    scans = open_scans(data_settings("folder", path=str(tmp_path)))
    assert len(scans) == 4
    assert found(scans) == []


@pytest.mark.parametrize("n", [1, 2])
def test_sets_of_one_and_two(n, tmp_path):
    images = np.repeat(textures(1), n, axis=0)
    assert [each.rows.tolist() for each in found(opened(tmp_path, images))] == [[0, 1]] * (n - 1)


def test_many_marked_copies_of_one_scan_among_others(tmp_path):
    """Each has more copies than neighbours are looked at, so that none stands out from its own neighbours."""
    images = textures(80)
    for row in range(30, 45):
        images[row] = np.clip(images[3] + RNG.normal(0, 4, images[3].shape), 0, 255)
    assert [each.rows.tolist() for each in found(opened(tmp_path, images))] == [[3, *range(30, 45)]]
