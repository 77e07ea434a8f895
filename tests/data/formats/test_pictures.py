import numpy as np
import pytest
from PIL import Image
from tiffs import png16, tiff

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


def written(path, raw):
    path.write_bytes(raw)
    return path


def whole(values, low, high):
    return np.rint((values.astype(float) - low) / (high - low) * 65535).clip(0, 65535)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "f8"])
def test_all_grey_samples_of_a_tiff_give_their_values(tmp_path, dtype, white, deflate, order):
    values = np.random.default_rng(0).integers(0, 4096, (11, 7))
    values = (
        (values // 16 - (128 if dtype == "i1" else 0)) if dtype[1] == "1" else values - (2048 if dtype[0] != "u" else 0)
    )
    stored = values.astype(dtype)
    path = written(tmp_path / "a.tif", tiff(stored, white=white, deflate=deflate, order=order))
    low, high = (-128.0, 127.0) if dtype == "i1" else (-2048.0, 4095.0)
    (pixels,) = read(path, [""], Rules(window=(low, high)))
    if dtype == "u1":
        assert pixels.dtype == np.uint8
        assert (pixels == (255 - values if white else values)).all()
        return
    expected = whole(stored, low, high)
    assert np.abs(pixels - (65535 - expected if white else expected)).max() <= 1
    (pixels,) = read(path, [""], Rules())
    if dtype == "u2":
        assert (pixels == (65535 - values if white else values)).all()
    else:
        expected = whole(stored, *np.percentile(stored.astype(float), [0.5, 99.5]))
        assert np.abs(pixels - (65535 - expected if white else expected)).max() <= 1


def test_unsigned_integers_of_32_bits_do_not_become_negative(tmp_path):
    values = np.array([[0, 2**31 - 1, 2**31, 2**32 - 1]], np.uint32)
    for order in "<>":
        (pixels,) = read(written(tmp_path / "a.tif", tiff(values, order=order)), [""], Rules(percentiles=(0.0, 100.0)))
        assert pixels.tolist() == [[0, 32767, 32768, 65535]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white", [False, True])
def test_twelve_bits_are_spread_over_sixteen_since_the_file_says_so(tmp_path, white, order):
    path = written(tmp_path / "a.tif", tiff(RAMP, bits=12, white=white, order=order))
    for rules in (Rules(), Rules(window="full"), Rules(window=(0.0, 4095.0))):
        (pixels,) = read(path, [""], rules)
        assert np.abs(pixels - (65535 - whole(RAMP, 0, 4095) if white else whole(RAMP, 0, 4095))).max() <= 1
        assert len(np.unique(pixels)) == 4096


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("samples", [3, 4])
def test_colors_of_a_tiff(tmp_path, samples, dtype, deflate, planar, order):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 6, samples), endpoint=True).astype(dtype)
    path = written(tmp_path / "a.tif", tiff(values, planar=planar, deflate=deflate, order=order))
    if dtype == np.uint16 and planar and deflate:
        with pytest.raises(ValueError, match="holds 16-bit colours in separate planes, packed; save it unpacked"):
            list(read(path, [""], Rules()))
        return
    (pixels,) = read(path, [""], Rules())
    alpha = values[..., 3:] / np.iinfo(dtype).max if samples == 4 else 1.0
    assert pixels.dtype == dtype
    assert np.abs(pixels - values[..., :3] * alpha).max() <= 1


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_sixteen_bits_of_a_png_are_all_kept(tmp_path, samples):
    values = np.random.default_rng(0).integers(0, 4096, (9, 6, samples)).astype(np.uint16)
    if samples % 2 == 0:
        values[..., -1] = 65535
        values[0, 0, -1] = 0
    path = written(tmp_path / "a.png", png16(values))
    (pixels,) = read(path, [""], Rules())
    colors = values[..., :3] if samples > 2 else values[..., 0]
    if samples % 2 == 0:
        colors[0, 0] = 0
    assert pixels.dtype == np.uint16
    assert (pixels == colors).all()
    (pixels,) = read(path, [""], Rules(window=(0.0, 4095.0)))
    assert np.abs(pixels - whole(colors, 0, 4095)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "color"])
@pytest.mark.parametrize("deflate", [False, True])
def test_orientation_of_a_tiff_is_applied_once(tmp_path, kind, orientation, deflate):
    values = np.arange(6).reshape(2, 3) * 7
    stored = (
        np.stack([values, values + 1, values + 2], -1).astype(np.uint16) if kind == "color" else values.astype(kind)
    )
    path = written(tmp_path / "a.tif", tiff(stored, stored, t274=orientation, deflate=deflate))
    turned = {1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1], 5: values.T,
              6: values[::-1].T, 7: values[::-1, ::-1].T, 8: values.T[::-1]}[orientation]  # fmt: skip
    for pixels in read(path, ["page=1", "page=0", "page=0"], Rules(window=(0.0, 65535.0))):
        assert (pixels[..., 0] if kind == "color" else pixels).tolist() == turned.tolist()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group3", "group4"])
def test_compressed_tiffs(tmp_path, compression):
    grey = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    kinds = {"jpeg": [grey, np.stack([grey, grey + 40, grey + 80], -1)], "group3": [grey > 40], "group4": [grey > 40]}
    deep = [
        grey,
        np.stack([grey, grey + 40, grey + 80], -1),
        grey.astype(np.uint16) * 700,
        grey.astype(np.float32),
        grey > 40,
    ]
    for values in kinds.get(compression, deep):
        Image.fromarray(values).save(tmp_path / "a.tif", compression=compression)
        (pixels,) = read(tmp_path / "a.tif", [""], Rules(percentiles=(0.0, 100.0)))
        expected = (
            values * 255 if values.dtype == bool else whole(grey, 0, 78) if values.dtype == np.float32 else values
        )
        assert np.abs(pixels.astype(int) - expected).max() <= (12 if compression == "jpeg" else 1), values.dtype


@pytest.mark.parametrize("compression", ["raw", "group4"])
def test_white_may_be_zero_in_scans_of_1_bit(tmp_path, compression):
    values = np.random.default_rng(0).random((9, 17)) > 0.5
    files = set()
    for photometric in (0, 1):  # Pillow turns round what it writes, too
        Image.fromarray(values).save(tmp_path / "a.tif", compression=compression, tiffinfo={262: photometric})
        (pixels,) = read(tmp_path / "a.tif", [""], Rules())
        assert (pixels == values * 255).all()
        files.add((tmp_path / "a.tif").read_bytes()[-20:])
    assert len(files) == 2


def test_pages_of_any_size_and_kind_stand_in_one_file(tmp_path):
    pages = [np.full((4, 5), 9, np.uint8), np.full((6, 3), 900, np.uint16), np.full((2, 2, 3), [1, 2, 3], np.uint8)]
    path = written(tmp_path / "a.tif", tiff(*pages))
    found = list(read(path, contents(path, Rules()).parts, Rules()))
    assert [(pixels.dtype, pixels.shape, pixels.max()) for pixels in found] == [
        (page.dtype, page.shape, page.max()) for page in pages
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32])
def test_measured_pages_share_one_window(tmp_path, dtype):
    pages = [np.full((4, 4), 100 * k, dtype) for k in range(5)]
    path = written(tmp_path / "a.tif", tiff(*pages, np.full((3, 3), 7, np.uint8)))
    rules = Rules(percentiles=(0.0, 100.0))
    found = list(read(path, contents(path, rules).parts, rules))
    assert np.abs([int(pixels[0, 0]) - 16384 * k for k, pixels in enumerate(found[:5])]).max() <= 1
    assert found[5].max() == 7
    (alone,) = read(path, ["page=3"], rules)
    assert (alone == found[3]).all()
    thinned = list(read(path, ["page=0", "page=2"], Rules(percentiles=(0.0, 100.0), frames=2)))
    assert [round(int(pixels[0, 0]) / 10) for pixels in thinned] == [0, 3277]


def test_transparency_of_all_kinds_is_black(tmp_path):
    grey = np.array([[10, 20, 30]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "l.png", transparency=20)
    assert next(iter(read(tmp_path / "l.png", [""], Rules()))).tolist() == [[10, 0, 30]]
    alpha = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(np.array([[255, 0, 128]], np.uint8))])
    alpha.save(tmp_path / "la.png")
    assert next(iter(read(tmp_path / "la.png", [""], Rules()))).tolist() == [[10, 0, 15]]
    palette = Image.fromarray(grey // 10).convert("P")
    palette.putpalette([0, 0, 0, 9, 9, 9, 50, 60, 70, 1, 2, 3])
    palette.save(tmp_path / "p.png", transparency=3)
    assert next(iter(read(tmp_path / "p.png", [""], Rules()))).tolist() == [[[9, 9, 9], [50, 60, 70], [0, 0, 0]]]


def test_inks_are_turned_round_where_adobe_says_so(tmp_path):
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 0))  # cyan
    ink.save(tmp_path / "adobe.jpg", quality=100)
    ink.save(tmp_path / "a.tif")
    raw = (tmp_path / "adobe.jpg").read_bytes()
    at = raw.index(b"\xff\xee")
    length = int.from_bytes(raw[at + 2 : at + 4], "big")
    written(tmp_path / "plain.jpg", raw[:at] + raw[at + 2 + length :])
    for name, color in (("adobe.jpg", [0, 255, 255]), ("a.tif", [0, 255, 255]), ("plain.jpg", [0, 0, 0])):
        (pixels,) = read(tmp_path / name, [""], Rules())
        assert np.abs(np.broadcast_to(pixels.reshape(16, 16, -1), (16, 16, 3)).astype(int) - color).max() <= 3, name


def test_slides_and_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    path = written(tmp_path / "a.tif", tiff(np.zeros((2, 2), np.uint8), t256=40000, t257=30000))
    for limit in (Image.MAX_IMAGE_PIXELS, None):  # Pillow's own limit may be switched off by other libraries
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=r"has .* pixels, beyond the 89,478,485 that are read; cut it into tiles"):
            list(read(path, [""], Rules()))


def test_a_later_page_may_be_too_large_alone(tmp_path):
    raw = bytearray(tiff(np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8)))
    at = raw.rindex(b"\x00\x01\x04\x00\x01\x00\x00\x00\x03\x00\x00\x00")  # width of the second page
    raw[at + 8 : at + 12] = (40_000_000).to_bytes(4, "little")
    path = written(tmp_path / "a.tif", bytes(raw))
    pages = read(path, ["page=0", "page=1"], Rules())
    assert next(pages).shape == (2, 2)
    with pytest.raises(ValueError, match="has 40,000,000 x 3 pixels"):
        next(pages)


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path):
    path = written(tmp_path / "a.tif", tiff(np.zeros((2, 2), np.uint16), bits=24))
    with pytest.raises(ValueError, match="is damaged, or a TIFF of a kind that is not read; save it as PNG"):
        list(read(path, [""], Rules()))
    path = written(tmp_path / "b.tif", tiff(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8)))
    for part in ("page=2", "z=0", "page=-1"):
        with pytest.raises(ValueError, match=f"has no part {part}; its last one is page=1"):
            list(read(path, [part], Rules()))
