import numpy as np
import pytest
from PIL import Image, ImageFile

from ssl_robust.data.scans import fit, read_scan, with_channels

RAMP = np.linspace(0, 4095, 64 * 48).reshape(48, 64).astype(np.uint16)  # 12 bits stored in 16
COLOR = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = COLOR[..., 0]


def saved(image, path, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_kept_not_saturated(tmp_path, suffix):
    path = saved(Image.fromarray(RAMP), tmp_path / f"ramp.{suffix}")
    pixels = read_scan(path)
    assert pixels.dtype == np.uint16
    assert (pixels == RAMP).all()
    small = fit(pixels, 16, resize="pad")
    assert small.dtype == np.uint16
    assert len(np.unique(small)) > 100
    assert 3500 < small.max() <= 4095 + 100


def test_full_scale_sixteen_bits_do_not_wrap_round():
    edge = np.zeros((40, 40), np.uint16)
    edge[:, 20:] = 65535
    small = fit(edge, 13, resize="squash")  # a cubic kernel overshoots at an edge
    assert small[0, 0] < 2000
    assert small[0, -1] > 63000


def test_white_is_zero_is_turned_round_at_16_bits_too(tmp_path):
    path = saved(Image.fromarray(RAMP), tmp_path / "x.tif", tiffinfo={262: 0})
    assert (read_scan(path) == 65535 - RAMP).all()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("pixels", [COLOR, GREY], ids=["color", "grey"])
def test_lossless_formats_come_back_as_stored(tmp_path, suffix, pixels):
    path = saved(Image.fromarray(pixels), tmp_path / f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    assert (read_scan(path) == pixels).all()
    assert read_scan(path).shape == pixels.shape


def test_a_grey_scan_saved_in_color_is_grey(tmp_path):
    assert read_scan(saved(Image.fromarray(GREY).convert("RGB"), tmp_path / "x.png")).shape == GREY.shape
    assert read_scan(saved(Image.fromarray(GREY), tmp_path / "x.jpg")).ndim == 2


def test_palette_alpha_bilevel_and_cmyk(tmp_path):
    flat = Image.fromarray(np.repeat(np.repeat([[[250, 10, 10], [10, 10, 250]]], 8, 0), 8, 1).astype(np.uint8))
    assert (read_scan(saved(flat.convert("P", palette=Image.Palette.ADAPTIVE), tmp_path / "p.png")) == flat).all()
    clear = flat.convert("RGBA")
    clear.putalpha(Image.fromarray(np.repeat([[255, 0]], 8, 0).repeat(8, 1).astype(np.uint8)))
    pixels = read_scan(saved(clear, tmp_path / "a.png"))
    assert (pixels[:, :8] == [250, 10, 10]).all()
    assert (pixels[:, 8:] == 0).all(), "what is transparent is black"
    bits = read_scan(saved(Image.fromarray(GREY > 128), tmp_path / "1.png"))
    assert set(np.unique(bits)) == {0, 255}
    ink = read_scan(saved(flat.convert("CMYK"), tmp_path / "c.jpg", quality=95))
    assert abs(ink.astype(int) - np.asarray(flat)).mean() < 12


@pytest.mark.parametrize("pixels", [COLOR, RAMP], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize(("orientation", "turned"), [(6, lambda a: np.rot90(a, -1)), (2, lambda a: a[:, ::-1])])
def test_exif_orientation_is_applied(tmp_path, pixels, orientation, turned):
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    assert (read_scan(saved(image, tmp_path / "x.png", exif=exif)) == turned(pixels)).all()


def test_files_that_cannot_be_taken_say_why(tmp_path, monkeypatch):
    whole = saved(Image.fromarray(np.tile(COLOR, (9, 9, 1))), tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as some libraries leave it behind
    with pytest.raises(OSError, match=r"truncated"):
        read_scan(tmp_path / "half.jpg")
    pages = [Image.fromarray(GREY)] * 3
    saved(pages[0], tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=r"holds 3 pages; name one, as in pages.tif#page=0"):
        read_scan(tmp_path / "pages.tif")
    (tmp_path / "notes.txt").write_text("no scan")
    with pytest.raises(ValueError, match=r"is no file of .*png"):
        read_scan(tmp_path / "notes.txt")


def test_pad_keeps_proportions_and_squash_does_not():
    white = np.full((10, 40), 255, np.uint8)
    padded, squashed = fit(white, 20, resize="pad"), fit(white, 20, resize="squash")
    assert (squashed == 255).all()
    assert (padded[7:12] == 255).all()
    assert padded[:7].sum() == padded[12:].sum() == 0
    assert fit(GREY[:20, :20], 20, resize="pad") is not None
    assert (fit(GREY[:20, :20], 20, resize="pad") == GREY[:20, :20]).all(), "the right size is left alone"


def test_shrinking_is_antialiased():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = fit(board, 16, resize="squash")[2:-2, 2:-2]
    assert abs(small.astype(int) - 127).max() < 8


def test_channels():
    assert (with_channels(GREY, 3) == GREY[..., None]).all()
    assert with_channels(GREY, 3).shape == (20, 30, 3)
    luma = with_channels(COLOR, 1)[..., 0]
    assert abs(luma.astype(int) - np.asarray(Image.fromarray(COLOR).convert("L"))).max() <= 1
