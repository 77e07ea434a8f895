import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from ssl_robust.duplicates import digests, look_at, structure

RNG = np.random.default_rng(3)


def textures(n, height=64, width=64, channels=1):
    shape = (n, height // 4, width // 4, channels)
    return np.kron(RNG.integers(30, 226, shape), np.ones((1, 4, 4, 1))).astype(np.uint8)


def look(pixels):
    return look_at(pixels, np.arange(len(pixels)), blank=0.01)


def test_structure_is_what_a_mean_over_the_surroundings_leaves():
    grey = RNG.normal(size=(1, 32, 32))
    edges = grey[0] - uniform_filter(grey[0], 3, mode="nearest")
    edges -= edges.mean()
    np.testing.assert_allclose(structure(grey, 32)[0], edges.ravel() / np.linalg.norm(edges), atol=1e-5)


@pytest.mark.parametrize("height", [40, 41, 57])
def test_padding_tells_nothing(height):
    """Scans of one shape would otherwise correlate by the edges of their padding."""
    square = np.zeros((2, 64, 64, 1), np.uint8)
    top = (64 - height) // 2
    square[:, top : top + height] = textures(2)[:, :height]
    found = look(square).fine.astype(np.float32)
    inside = structure(square[:, top : 64 - top, :, 0].astype(np.float32), 32)
    np.testing.assert_allclose(found, inside, atol=2e-3)
    assert abs(found[0] @ found[1]) < 0.2
    whole = structure(square[..., 0].astype(np.float32), 32)
    assert whole[0] @ whole[1] > abs(found[0] @ found[1])


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.uint8, 3), (np.uint16, 1)])
def test_kinds_of_pixels(dtype, channels):
    pixels = textures(5, channels=channels).astype(dtype)
    pixels[3] = pixels[1]
    found = look(pixels)
    assert found.fine.shape == (5, 1024)
    assert found.digests[3] == found.digests[1]
    assert len(np.unique(found.digests)) == 4
    np.testing.assert_allclose(np.linalg.norm(found.fine.astype(np.float32), axis=1), 1, atol=1e-3)


def test_a_scan_that_shows_nothing_has_no_structure():
    pixels = textures(4)
    pixels[1], pixels[2] = 0, 77
    assert look(pixels).fine.any(axis=1).tolist() == [True, False, False, True]


def test_rows_in_any_order_and_many_blocks(monkeypatch):
    monkeypatch.setattr("ssl_robust.duplicates.pictures._CHUNK", 3 * 64 * 64)
    pixels = textures(8)
    rows = np.array([5, 0, 7, 2])
    np.testing.assert_array_equal(look_at(pixels, rows, blank=0.01).fine, look(pixels).fine[rows])
    np.testing.assert_array_equal(look_at(pixels, rows, blank=0.01).digests, digests(pixels)[rows])
