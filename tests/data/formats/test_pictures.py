import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.formats.pictures import contents, read
from ssl_robust.data.formats.rules import Rules

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def test_every_page_is_a_scan_and_every_nth_is_taken(tmp_path):
    pages = [Image.fromarray(np.full((8, 8), grey, np.uint8)) for grey in (10, 20, 30, 40)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert contents(tmp_path / "a.tif", Rules()).parts == ("page=0", "page=1", "page=2", "page=3")
    assert contents(tmp_path / "a.tif", Rules(frames=3)).parts == ("page=0", "page=3")
    pages[0].save(tmp_path / "b.tif")
    assert contents(tmp_path / "b.tif", Rules()).parts == ("",)
    assert [page[0, 0] for page in read(tmp_path / "a.tif", ["page=2", "page=0"], Rules())] == [30, 10]


@pytest.mark.parametrize(("window", "low", "high"), [((0.0, 4095.0), 0, 65535), ("full", 0, 4095), ("auto", 0, 4095)])
def test_a_ramp_of_12_bits_keeps_all_its_steps(tmp_path, window, low, high):
    Image.fromarray(RAMP).save(tmp_path / "ramp.png")
    (pixels,) = read(tmp_path / "ramp.png", [""], Rules(window=window))
    assert (pixels.min(), pixels.max(), pixels.dtype) == (low, high, np.uint16)
    assert len(np.unique(pixels)) == 4096


def test_floats_and_wide_integers_are_shown_between_their_percentiles(tmp_path):
    values = np.linspace(-3.0, 5.0, 4096, dtype=np.float32).reshape(64, 64)
    Image.fromarray(values).save(tmp_path / "a.tif")
    (pixels,) = read(tmp_path / "a.tif", [""], Rules())
    low, high = np.percentile(values, [0.5, 99.5])
    expected = np.rint((values - low) / (high - low) * 65535).clip(0, 65535)
    assert np.abs(pixels - expected).max() <= 1
    (pixels,) = read(tmp_path / "a.tif", [""], Rules(window=(-3.0, 5.0)))
    assert (pixels.min(), pixels.max()) == (0, 65535)
    Image.fromarray(np.array([[-1, 70000]], np.int32)).save(tmp_path / "wide.tif")
    (pixels,) = read(tmp_path / "wide.tif", [""], Rules(window=(0.0, 65535.0)))
    assert pixels.tolist() == [[0, 65535]]
