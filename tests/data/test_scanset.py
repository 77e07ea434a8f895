import os

import numpy as np
import pytest
import torch
from PIL import Image

from ssl_robust.data.manifest import data_settings
from ssl_robust.data.scanset import open_scans
from ssl_robust.run import UserError

COLOR = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "Müller (2024)" / "a,b"
    for number, pixels in enumerate(COLOR):
        (root / "xy"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / "xy"[number % 2] / f"{number:02d}.png")
    return root


def opened(folder, asked=None, **options):
    return open_scans(data_settings("folder", path=str(folder), **options), **(asked or {}))


def test_batches_hold_the_pixels_of_their_rows(folder):
    scans = opened(folder)
    rows = [7, 0, 7, 29]
    batch = scans.batch(rows)
    assert batch.images.shape == (4, 3, 12, 12)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert (batch.images.permute(0, 2, 3, 1).numpy() == scans.pixels[rows]).all()
    assert batch.indices.tolist() == rows
    assert batch.labels.tolist() == scans.manifest.codes()[rows].tolist()
    names = scans.manifest.table["sample_id"]
    assert all((scans.pixels[row] == COLOR[int(names[row][2:4])]).all() for row in rows)
    assert scans.batch(rows, labels=np.arange(30)).labels.tolist() == rows


def test_sixteen_bits_reach_the_batch(tmp_path):
    Image.fromarray(np.arange(144, dtype=np.uint16).reshape(12, 12) * 400).save(tmp_path / "x.png")
    batch = opened(tmp_path).batch([0])
    assert batch.images.dtype == torch.uint16
    assert batch.images.shape == (1, 1, 12, 12)
    assert int(batch.images.int().max()) == 143 * 400


def test_statistics_are_those_of_the_rows(folder):
    scans = opened(folder)
    rows = np.array([3, 1, 20])
    mean, std = scans.statistics(rows)
    values = scans.pixels[rows] / 255
    assert mean == pytest.approx(values.mean(axis=(0, 1, 2)).tolist())
    assert std == pytest.approx(values.std(axis=(0, 1, 2)).tolist())
    assert scans.statistics(rows[::-1]) == (mean, std)
    with pytest.raises(ValueError, match=r"no scans"):
        scans.statistics([])


def test_a_checkpoint_decides_what_is_auto_and_the_user_what_is_not(folder):
    assert opened(folder, {"image_size": 32, "channels": 1}).pixels.shape[1:] == (32, 32, 1)
    assert opened(folder, {"image_size": 32, "channels": 1}, image_size=16, channels=3).pixels.shape[1:] == (16, 16, 3)
    assert (opened(folder).image_size, opened(folder).channels) == (12, 3)


def test_one_broken_file_among_good_ones_is_left_out_and_named(folder, capsys):
    broken = folder / "x" / "04.png"
    broken.write_bytes(broken.read_bytes()[:150])
    scans = opened(folder, max_unreadable=0.05)
    assert len(scans) == len(scans.manifest) == 29
    assert [each["sample_id"] for each in scans.unreadable] == ["x/04.png"]
    assert "x/04.png" not in set(scans.manifest.table["sample_id"])
    assert "Left out 1 of 30 scans" in capsys.readouterr().out
    for row in (1, 2, 3):
        assert (scans.pixels[row] == scans.manifest.source.read(row)).all(), "rows after the gap keep their pixels"
    with pytest.raises(UserError, match=r"1 of 30 scans cannot be read, more than data.max_unreadable=0.01.*x/04.png"):
        opened(folder)


def test_all_broken_is_one_sentence(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(os.urandom(50))
    with pytest.raises(UserError, match=r"none of the 2 scans can be read"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": "big"}, "data.image_size=big does not fit; expected auto or a number"),
        ({"image_size": 1}, "data.image_size=1 does not fit"),
        ({"channels": 2}, "data.channels=2 does not fit; expected auto, 1 or 3"),
        ({"resize": "crop"}, "data.resize=crop is not known; expected auto, pad or squash"),
        ({"split": "trian"}, "data.split=trian does not exist; expected train, val, test or all"),
        ({"path": "nowhere"}, "data.path=nowhere does not exist"),
    ],
)
def test_wrong_options_are_refused(folder, options, message):
    with pytest.raises(UserError, match=message):
        open_scans({**data_settings("folder", path=str(folder)), **options})
