"""Scans as they reach the browser."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.data.sources import ArraySource
from ssl_robust.relabel.review.at_hand import AtHand
from ssl_robust.relabel.review.pictures import Pictures, first_window


@pytest.fixture
def folder(tmp_path):
    """One picture of each kind -> what reads them."""
    place = tmp_path / "scans" / "a"
    place.mkdir(parents=True)
    y, x = np.mgrid[:40, :30]
    Image.fromarray((y * 6).astype(np.uint8)).save(place / "grey.png")
    Image.fromarray(np.stack([y * 6, x * 8, x * 0], axis=-1).astype(np.uint8)).save(place / "color.png")
    Image.fromarray((y * 100 + 1000).astype(np.uint16)).save(place / "deep.png")
    (place / "ct.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    (place / "broken.png").write_bytes(b"no picture")

    def pictures():
        return Pictures(load_manifest(data_settings("folder", path=str(tmp_path / "scans"), ids="plain")))

    return pictures


def test_a_grey_scan_travels_byte_by_byte(folder):
    picture = folder().whole("a/grey.png")
    assert picture.headers == {"Scan-Width": "30", "Scan-Height": "40", "Scan-Kind": "grey8", "Scan-Window": "0 255"}
    assert np.array_equal(np.frombuffer(picture.values, np.uint8).reshape(40, 30)[:, 0], np.arange(40) * 6)


def test_color_travels_as_a_canvas_takes_it(folder):
    picture = folder().whole("a/color.png")
    pixels = np.frombuffer(picture.values, np.uint8).reshape(40, 30, 4)
    assert picture.headers["Scan-Kind"] == "color"
    assert pixels[5, 7].tolist() == [30, 56, 0, 255]


def test_sixteen_bits_travel_whole_with_a_window_to_begin_with(folder):
    picture = folder().whole("a/deep.png")
    values = np.frombuffer(picture.values, "<u2").reshape(40, 30)
    assert values[:, 3].tolist() == (np.arange(40) * 100 + 1000).tolist()
    low, high = map(int, picture.headers["Scan-Window"].split())
    assert 1000 <= low < 1100 < 4800 < high <= 4900


def test_a_ct_keeps_all_values_and_begins_with_its_own_window(folder):
    """The file names no window: all tissue is seen at first, and no value is cut off."""
    picture = folder().whole("a/ct.dcm")
    values = np.frombuffer(picture.values, "<u2").reshape(128, 128)
    assert picture.headers["Scan-Kind"] == "grey16"
    stored = dcmread(get_testdata_file("CT_small.dcm")).pixel_array
    assert np.array_equal(values.astype(np.int64) - values.min(), stored.astype(np.int64) - stored.min())


def test_the_window_of_a_file_is_told_from_what_it_cuts_off():
    pixels = np.arange(1000, dtype=np.uint16).reshape(10, 100)
    seen = (np.clip(pixels.astype(float) - 200, 0, 300) / 300 * 65535).astype(np.uint16)
    assert first_window(pixels, seen) == (200, 500)
    low, high = first_window(pixels, pixels)
    assert 0 < low < 10
    assert 990 < high < 999
    flat = np.full((4, 4), 7, np.uint16)
    assert first_window(flat, flat) == (7, 8)


def test_neighbors_are_one_strip_and_a_broken_one_harms_no_other(folder):
    pictures = folder()
    names = ["a/grey.png", "a/color.png", "a/deep.png", "a/broken.png"]
    strip = np.asarray(Image.open(io.BytesIO(pictures.strip(names))))
    assert strip.shape == (144, 4 * 144, 3)
    assert (strip[:, -144:] == 64).all()
    assert strip[:, :144].max() > 200
    assert np.array_equal(pictures.strip(["a/grey.png"]), pictures.strip(["a/grey.png"]))
    with pytest.raises(Exception, match="cannot identify"):
        pictures.whole("a/broken.png")
    with pytest.raises(KeyError):
        pictures.whole("../../etc/passwd")


def test_rows_of_an_archive_are_laid_out_once(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (9, 5, 6, 3), dtype=np.uint8)
    reads = []

    class Source(ArraySource):
        def read(self, row):
            reads.append(row)
            return self.images[row]

    source = AtHand(Source(images, "f"), [7, 2, 7, 5], tmp_path / "new")
    assert reads == [2, 5, 7]
    for row in (5, 2, 7, 5):
        assert np.array_equal(source.read(row), images[row])
    assert reads == [2, 5, 7]
    assert np.array_equal(source.read(3), images[3])  # one that nobody expected
    assert (source.files, source.fingerprint) == (None, "f")
