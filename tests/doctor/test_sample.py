import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.cache import undecoded
from ssl_robust.data.manifest import data_settings
from ssl_robust.data.scanset import find_scans, open_scans
from ssl_robust.doctor.sample import N_FILES, sample
from ssl_robust.run import UserError


@pytest.fixture
def folder(tmp_path):
    """A folder of n grey pictures, the first of which cannot be read."""

    def make(n):
        for number in range(n):
            pixels = np.full((10, 10), number % 256, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number:03d}.png")
        (tmp_path / "000.png").write_bytes(b"no picture")
        return find_scans(data_settings("folder", path=str(tmp_path), image_size=16, max_unreadable=0.5))

    return make


def new_rows(found):
    return undecoded(found.manifest.source, len(found.manifest), found.geometry, found.cache)


def test_some_files_spread_over_the_set_are_decoded_and_timed(folder, cache):
    found = folder(100)
    some = sample(found, new_rows(found))
    assert len(some.seconds) == N_FILES
    assert min(some.seconds) > 0
    assert some.n_parts == 100
    assert len(some.rows) == N_FILES - 1  # the first one was tried, too
    assert some.rows[0] < 10
    assert some.rows[-1] == 99
    assert some.side_by_side
    assert not list(cache.iterdir())  # nothing is kept
    for row, square in zip(some.rows, some.pixels, strict=True):
        assert square.shape == (16, 16, 1)
        assert np.median(square) == row


def test_what_was_decoded_before_is_opened(folder):
    found = folder(20)
    open_scans(data_settings("folder", path=str(found.manifest.source.files[0].parent), image_size=16,
                             max_unreadable=0.5))  # fmt: skip
    assert len(new_rows(found)) == 0
    some = sample(found, new_rows(found))
    assert some.seconds == ()
    assert some.rows.tolist() == list(range(1, 20))
    assert [np.median(square) for square in some.pixels] == some.rows.tolist()


def test_of_a_set_that_has_grown_the_new_ones_are_tried(folder):
    found = folder(20)
    path = found.manifest.source.files[0].parent
    settings = data_settings("folder", path=str(path), image_size=16, max_unreadable=0.5)
    open_scans(settings)
    Image.fromarray(np.full((10, 10), 77, np.uint8)).save(path / "999.png")
    grown = find_scans(settings)
    new = new_rows(grown)
    assert grown.manifest.table["sample_id"].iloc[new].tolist() == ["000.png", "999.png"]
    assert sample(grown, new).rows.tolist() == [20]


def test_arrays_are_read_on_from_the_first(scans_file):
    found = find_scans(data_settings("npz", path=str(scans_file)))
    some = sample(found, new_rows(found))
    assert some.rows.tolist() == list(range(30))
    assert not some.side_by_side
    assert len(some.seconds) == some.n_parts == 8


def test_a_file_of_many_pages_is_timed_as_a_whole(tmp_path):
    for number in range(3):
        pages = [Image.fromarray(np.full((10, 10), 50 * number + page, np.uint8)) for page in range(40)]
        pages[0].save(tmp_path / f"{number}.tif", save_all=True, append_images=pages[1:])
    found = find_scans(data_settings("folder", path=str(tmp_path), image_size=16))
    assert len(found.manifest) == 120
    some = sample(found, new_rows(found))
    assert len(some.seconds) == some.n_parts == 3
    assert len(some.rows) == 24
    assert [np.median(square) for square in some.pixels] == [50 * (row // 40) + row % 40 for row in some.rows]


def test_of_a_slow_set_some_are_tried_all_over_it(folder, monkeypatch):
    monkeypatch.setattr("ssl_robust.doctor.sample._SECONDS", 0.0)
    found = folder(100)
    some = sample(found, new_rows(found))
    assert len(some.seconds) < 3
    assert some.n_parts == 100


def test_a_set_to_try_things_on_repeats_the_sample(scans_file):
    found = find_scans(data_settings("npz", path=str(scans_file)))
    some = sample(found, new_rows(found))
    scans = some.scans(found, 70)
    assert len(scans) == len(scans.manifest) == 70
    assert np.array_equal(scans.pixels[60:], some.pixels[:10])
    assert scans.manifest.codes()[30:60].tolist() == found.manifest.codes().tolist()


def test_nothing_readable_is_one_sentence(folder):
    found = folder(1)
    with pytest.raises(UserError, match="none of the 1 scans that were tried can be read"):
        sample(found, new_rows(found))
