import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from ssl_robust.data.formats.dicom import contents, read
from ssl_robust.data.formats.rules import Rules

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
HOUNSFIELD = (np.arange(4096) - 1024).astype(np.int16).reshape(64, 64)


def pixels_of(path, window="auto", part=""):
    (pixels,) = read(path, [part], Rules(window=window))
    return pixels


def scaled(values, low, high):
    return np.rint((values.astype(float) - low) / (high - low) * 65535).clip(0, 65535)


def item(**elements):
    data = Dataset()
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return data


def linear(x, center, width):
    """PS3.3 C.11.2.1.2.1, written out."""
    y = ((x - (center - 0.5)) / (width - 1) + 0.5 if width > 1 else x * 0.0) * 65535
    return np.select([x <= center - 0.5 - (width - 1) / 2, x > center - 0.5 + (width - 1) / 2], [0, 65535], y)


def linear_exact(x, center, width):
    """PS3.3 C.11.2.1.3.2, written out."""
    y = ((x - center) / width + 0.5) * 65535
    return np.select([x <= center - width / 2, x > center + width / 2], [0, 65535], y)


def sigmoid(x, center, width):
    """PS3.3 C.11.2.1.3.1, written out."""
    with np.errstate(over="ignore"):
        return 65535 / (1 + np.exp(-4 * (x - center) / width))


@pytest.mark.parametrize(
    ("function", "expected"), [("LINEAR", linear), ("LINEAR_EXACT", linear_exact), ("SIGMOID", sigmoid)]
)
@pytest.mark.parametrize(("center", "width"), [(40, 400), (-600.5, 1500), (0, 2), (100, 1)])
def test_the_windows_of_a_file_are_those_of_the_standard(dicom, function, expected, center, width):
    path = dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=[center, 7], WindowWidth=[width, 9],
                 VOILUTFunction=function, BitsStored=12, HighBit=11)  # fmt: skip
    pixels = pixels_of(path)
    assert pixels.dtype == np.uint16
    assert np.abs(pixels - expected(RAMP - 1024.0, center, width)).max() <= 1


def test_a_window_of_the_set_is_in_hounsfield_units(dicom):
    whole = dicom(HOUNSFIELD, "whole.dcm", WindowCenter=0, WindowWidth=10)
    shifted = dicom(RAMP, "shifted.dcm", RescaleSlope=0.5, RescaleIntercept=-1024)
    assert np.abs(pixels_of(whole, (-125.0, 225.0)) - scaled(HOUNSFIELD, -125, 225)).max() <= 1
    assert np.abs(pixels_of(shifted, (-125.0, 225.0)) - scaled(RAMP * 0.5 - 1024, -125, 225)).max() <= 1


@pytest.mark.parametrize("broken", [{"WindowCenter": 5, "WindowWidth": 0}, {"WindowWidth": 9}, {"WindowCenter": ""}])
def test_a_window_that_is_none_counts_as_not_there(dicom, broken):
    assert np.abs(pixels_of(dicom(RAMP, BitsStored=12, HighBit=11, **broken)) - scaled(RAMP, 0, 4095)).max() <= 1


def test_the_full_range_is_that_of_the_stored_bits_after_rescaling(dicom):
    path = dicom(RAMP // 2, BitsStored=12, HighBit=11, RescaleSlope=-2, RescaleIntercept=10)
    assert np.abs(pixels_of(path, "full") - scaled(RAMP // 2 * -2.0, -8190, 0)).max() <= 1
    path = dicom(HOUNSFIELD)
    assert np.abs(pixels_of(path, "full") - scaled(HOUNSFIELD, -32768, 32767)).max() <= 1


def test_16_bits_without_a_window_are_shown_between_their_percentiles(dicom):
    low, high = np.percentile(HOUNSFIELD, [0.5, 99.5])
    for window in ("auto", "percentiles"):
        assert np.abs(pixels_of(dicom(HOUNSFIELD), window) - scaled(HOUNSFIELD, low, high)).max() <= 1
    wide = RAMP.astype(np.uint32) * 1000
    low, high = np.percentile(wide, [0.5, 99.5])
    assert np.abs(pixels_of(dicom(wide), "full") - scaled(wide, low, high)).max() <= 1


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_are_shown_between_their_percentiles(dicom, kind):
    values = np.linspace(-3, 5, 4096).astype(kind).reshape(64, 64)
    low, high = np.percentile(values, [0.5, 99.5])
    assert np.abs(pixels_of(dicom(values)) - scaled(values, low, high)).max() <= 1


@pytest.mark.parametrize("inside", [{}, {"WindowCenter": 128, "WindowWidth": 256}])
def test_8_bits_that_are_shown_whole_stay_as_they_are(dicom, inside):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(pixels_of(dicom(values, **inside)), values)
    assert pixels_of(dicom(values, RescaleSlope=2, RescaleIntercept=0)).dtype == np.uint16


@pytest.mark.parametrize("window", ["auto", "full", "percentiles"])
def test_one_scene_stored_both_ways_round_gives_one_picture(dicom, window):
    scene = np.random.default_rng(0).integers(0, 4096, (32, 32)).astype(np.uint16)
    common = {"BitsStored": 12, "HighBit": 11, "WindowWidth": 1024}
    bright = dicom(scene, "two.dcm", WindowCenter=2048, **common)
    dark = dicom(4095 - scene, "one.dcm", WindowCenter=2048, PhotometricInterpretation="MONOCHROME1", **common)
    assert np.abs(pixels_of(bright, window).astype(int) - pixels_of(dark, window)).max() <= 1
    assert np.corrcoef(pixels_of(bright, window).ravel(), scene.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_no_part_of_the_percentiles(dicom, photometric):
    values = np.random.default_rng(0).integers(0, 1000, (64, 64)).astype(np.int16)
    expected = pixels_of(dicom(values, PhotometricInterpretation=photometric), "percentiles")[32:]
    values[:32] = -2000
    values[0] = -1995
    elements = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}
    pixels = pixels_of(dicom(values, PhotometricInterpretation=photometric, **elements), "percentiles")
    assert pixels[:32].max() == 0
    assert np.abs(pixels[32:].astype(int) - expected).max() < 1500  # the percentiles of half of the values
    (pixels,) = read(dicom(np.full((4, 4), 7, np.int16), PixelPaddingValue=7), [""], Rules())
    assert pixels.max() == 0


def test_padding_written_without_its_sign_is_found(dicom):
    values = np.array([[-2000, 0], [50, 100]], np.int16)
    path = dicom(values)
    data = dcmread(path)
    data.add_new(0x00280120, "US", 63536)
    data.save_as(path)
    assert (pixels_of(path, (-100.0, 100.0)) == 0).tolist() == [[True, False], [False, False]]


def test_bits_that_are_not_stored_are_masked(dicom):
    overlay = RAMP | 0xF000
    assert np.abs(pixels_of(dicom(overlay, BitsStored=12, HighBit=11)) - scaled(RAMP, 0, 4095)).max() <= 1
    shifted = RAMP << 4 | 0xF
    assert np.abs(pixels_of(dicom(shifted, BitsStored=12, HighBit=15)) - scaled(RAMP, 0, 4095)).max() <= 1
    signed = (np.arange(-8, 8, dtype=np.int16) << 4 | 0xF).reshape(4, 4)
    path = dicom(signed, BitsStored=12, HighBit=15)
    assert np.abs(pixels_of(path, (-8.0, 8.0)) - scaled(signed >> 4, -8, 8)).max() <= 1


def test_one_bit_each(dicom, tmp_path):
    mask = np.random.default_rng(0).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    path = dicom(mask, BitsAllocated=1, BitsStored=1, HighBit=0)
    data = dcmread(path)
    packed = np.packbits(mask.ravel(), bitorder="little").tobytes()
    data.PixelData = packed + b"\0" * (len(packed) % 2)
    data.save_as(path)
    frames = list(read(path, ["frame=0", "frame=1", "frame=2"], Rules()))
    np.testing.assert_array_equal(np.stack(frames), mask.astype(np.uint16) * 65535)


def test_a_modality_table_comes_before_the_window(dicom):
    entries = [100, 200, 400, 800]
    table = item(LUTDescriptor=[4, 2, 16], ModalityLUTType="US", LUTData=entries)
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    values = np.array([[0, 2, 3], [4, 5, 99]], np.uint16)
    pixels = pixels_of(dicom(values, ModalityLUTSequence=[table]), (100.0, 800.0))
    expected = scaled(np.array([[100, 100, 200], [400, 800, 800]]), 100, 800)
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_table_of_interest_goes_before_a_window(dicom, as_bytes):
    curve = (np.linspace(0, 1, 256) ** 2 * 1023).astype(np.uint16)
    table = item(LUTDescriptor=[256, -20, 10], LUTData=curve.tobytes() if as_bytes else curve.tolist())
    table["LUTDescriptor"].VR, table["LUTData"].VR = "SS", "OW" if as_bytes else "US"
    values = np.arange(-30, 270, dtype=np.int16).reshape(15, 20)
    path = dicom(values, VOILUTSequence=[table], WindowCenter=0, WindowWidth=5)
    expected = scaled(curve[np.clip(values + 20, 0, 255)], 0, 1023)
    assert np.abs(pixels_of(path) - expected).max() <= 1
    assert np.abs(pixels_of(path, (0.0, 100.0)) - scaled(values, 0, 100)).max() <= 1


def test_frames_have_rescaling_and_windows_of_their_own(dicom):
    def rescale(slope):
        return [item(RescaleSlope=slope, RescaleIntercept=0, RescaleType="HU")]

    def window(center):
        return [item(WindowCenter=center, WindowWidth=101)]

    values = np.stack([RAMP, RAMP])
    shared = item(FrameVOILUTSequence=window(500), PixelValueTransformationSequence=rescale(3))
    each = [item(PixelValueTransformationSequence=rescale(2)), item(FrameVOILUTSequence=window(900))]
    path = dicom(values, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=each)
    assert np.abs(pixels_of(path, part="frame=0") - linear(RAMP * 2.0, 500, 101)).max() <= 1
    assert np.abs(pixels_of(path, part="frame=1") - linear(RAMP * 3.0, 900, 101)).max() <= 1


PALETTE = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 7)]).astype(np.uint16)


@pytest.mark.parametrize(("bits", "factor", "words"), [(8, 1, False), (8, 1, True), (16, 1, True), (16, 256, True)])
def test_palettes_of_8_bits_in_all_their_spellings(dicom, bits, factor, words):
    elements = {}
    for color, row in zip(("Red", "Green", "Blue"), PALETTE, strict=True):
        elements[f"{color}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        elements[f"{color}PaletteColorLookupTableData"] = (row * factor).astype("<u2" if words else "u1").tobytes()
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = pixels_of(dicom(values, PhotometricInterpretation="PALETTE COLOR", **elements))
    np.testing.assert_array_equal(pixels, PALETTE.T.astype(np.uint8)[values])


def test_a_palette_of_16_bits_for_values_of_16_bits(dicom):
    rows = np.random.default_rng(0).integers(0, 65536, (3, 1000)).astype("<u2")
    elements = {}
    for color, row in zip(("Red", "Green", "Blue"), rows, strict=True):
        elements[f"{color}PaletteColorLookupTableDescriptor"] = [1000, 300, 16]
        elements[f"{color}PaletteColorLookupTableData"] = row.tobytes()
    pixels = pixels_of(dicom(RAMP, PhotometricInterpretation="PALETTE COLOR", **elements))
    np.testing.assert_array_equal(pixels, rows.T[np.clip(RAMP.astype(int) - 300, 0, 999)])


def test_a_palette_in_segments(dicom):
    # PS3.3 C.7.9.2: three entries as they are, then a line to 40 over four entries.
    segments = np.array([0, 3, 10, 20, 20, 1, 4, 40], "<u2")
    table = np.array([10, 20, 20, 25, 30, 35, 40])
    elements = {}
    for color, factor in (("Red", 1), ("Green", 1000), ("Blue", 100)):
        scaled = segments.copy()
        scaled[[2, 3, 4, 7]] *= factor
        elements[f"{color}PaletteColorLookupTableDescriptor"] = [7, 0, 16]
        elements[f"Segmented{color}PaletteColorLookupTableData"] = scaled.tobytes()
    values = np.arange(8, dtype=np.uint8).reshape(2, 4)
    pixels = pixels_of(dicom(values, PhotometricInterpretation="PALETTE COLOR", **elements))
    expected = table[np.minimum(values, 6)][..., None] * np.array([1, 1000, 100])
    np.testing.assert_array_equal(pixels, expected)


COLORS = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


def test_colors_in_planes_and_of_16_bits(dicom):
    np.testing.assert_array_equal(pixels_of(dicom(COLORS)), COLORS)
    path = dicom(COLORS, PlanarConfiguration=1)
    data = dcmread(path)
    data.PixelData = np.moveaxis(COLORS, -1, 0).tobytes()
    data.save_as(path)
    np.testing.assert_array_equal(pixels_of(path), COLORS)
    wide = COLORS.astype(np.uint16) * 257
    np.testing.assert_array_equal(pixels_of(dicom(wide)), wide)
    assert np.abs(pixels_of(dicom(COLORS.astype(np.uint16), BitsStored=8, HighBit=7)) - wide.astype(int)).max() <= 1
    grey = np.repeat(COLORS[..., :1], 3, axis=-1)
    assert pixels_of(dicom(grey)).shape == (6, 8)


def test_luma_and_chroma_become_red_green_and_blue(dicom):
    y, cb, cr = np.moveaxis(COLORS.astype(float), -1, 0)
    rgb = np.stack([y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)])
    expected = np.moveaxis(rgb, 0, -1).clip(0, 255)
    pixels = pixels_of(dicom(COLORS, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(pixels - expected).max() <= 1
    with pytest.raises(ValueError, match="says YBR_FULL_422, but its colors are not halved"):
        pixels_of(dicom(COLORS, PhotometricInterpretation="YBR_FULL_422"))
    with pytest.raises(ValueError, match="has colors in YBR_PARTIAL_420, which are not read"):
        pixels_of(dicom(COLORS, PhotometricInterpretation="YBR_PARTIAL_420"))


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
)
def test_the_encoding_changes_no_value(dicom, syntax):
    values, bits = np.stack([RAMP, RAMP[::-1]]), {"BitsStored": 12, "HighBit": 11}
    plain = dicom(values, "plain.dcm", **bits)
    if syntax.is_encapsulated:
        other = plain.with_name("other.dcm")
        data = dcmread(plain)
        data.compress(syntax)
        data.save_as(other)
    else:
        other = dicom(values.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2"), syntax=syntax, **bits)
    parts = contents(other, Rules()).parts
    assert parts == ("frame=0", "frame=1")
    expected = list(read(plain, parts, Rules()))
    np.testing.assert_array_equal(np.stack(list(read(other, parts, Rules()))), np.stack(expected))
    np.testing.assert_array_equal(pixels_of(other, part="frame=1"), expected[1])


def test_jpeg_of_8_bits_needs_pillow_alone(dicom, monkeypatch):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(smooth).save(stream, "JPEG", quality=95)
    path = dicom(smooth, syntax=JPEGBaseline8Bit, frames=[stream.getvalue()])
    without_plugins(monkeypatch, JPEGBaseline8Bit)
    pixels = pixels_of(path)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - smooth).max() <= 4


def without_plugins(monkeypatch, syntax):
    decoder = get_decoder(syntax)
    monkeypatch.setattr(decoder, "_available", {k: v for k, v in decoder._available.items() if k == "pillow"})


def test_a_missing_decoder_is_named_with_its_extra(dicom, monkeypatch):
    path = dicom(RAMP, syntax=JPEGLosslessSV1, frames=[b"\xff\xd8\xff\xd9"])
    with pytest.raises(ValueError, match=r"^has damaged pixels \(frame 0, JPEG Lossless\)$"):
        pixels_of(path)
    without_plugins(monkeypatch, JPEGLosslessSV1)
    with pytest.raises(ValueError, match=r"^needs a decoder for JPEG Lossless: pip install 'ssl-robust\[dicom\]'$"):
        pixels_of(path)


def test_every_nth_frame_is_a_scan_and_one_must_be_named(dicom):
    values = np.arange(7, dtype=np.uint8)[:, None, None] * np.ones((4, 4), np.uint8)
    path = dicom(values)
    assert contents(path, Rules(frames=3)).parts == ("frame=0", "frame=3", "frame=6")
    assert contents(dicom(values[0], "one.dcm"), Rules(frames=3)).parts == ("",)
    assert [frame[0, 0] for frame in read(path, ["frame=6", "frame=3"], Rules())] == [6, 3]
    with pytest.raises(ValueError, match=r"^holds 7 frames; name one, as in #frame=0$"):
        pixels_of(path)
    for part in ("frame=7", "page=1", "frame=-1"):
        with pytest.raises(ValueError, match=f"^has no part {part}; expected frame=0 to frame=6$"):
            pixels_of(path, part=part)


def test_percentiles_are_those_of_all_frames(dicom):
    values = np.stack([RAMP, RAMP * 4]).astype(np.uint16)
    low, high = np.percentile(values, [0.5, 99.5])
    path = dicom(values)
    alone = pixels_of(path, "percentiles", "frame=1")
    np.testing.assert_array_equal(alone, list(read(path, ["frame=0", "frame=1"], Rules(window="percentiles")))[1])
    assert np.abs(alone - scaled(values[1], low, high)).max() <= 1


@pytest.mark.parametrize(
    ("elements", "same"),
    [
        ({}, {}),
        ({"IssuerOfPatientID": "A"}, {"IssuerOfPatientID": "A", "PatientName": "OTHER"}),
        ({"PatientID": ""}, {"PatientID": "", "PatientName": "DOE^JANE"}),
        ({"PatientID": "ANONYMOUS", "PatientName": ""}, {"PatientID": "anonymous", "PatientName": "Anonymized"}),
    ],
)
def test_who_is_the_same_patient(dicom, elements, same):
    first, again = (
        contents(dicom(RAMP, **{"StudyInstanceUID": "1.2", **each}), Rules()).patient for each in (elements, same)
    )
    assert first is not None
    assert first == again
    others = ({"PatientID": "P2"}, {"IssuerOfPatientID": "B"}, {"PatientID": "", "PatientName": "ROE"})
    for other in others:
        assert contents(dicom(RAMP, StudyInstanceUID="1.2", **other), Rules()).patient != first


def test_without_any_patient_the_study_stays_together_or_nobody_is_known(dicom):
    nobody = {"PatientID": "", "PatientName": ""}
    one, two = (contents(dicom(RAMP, StudyInstanceUID=uid, **nobody), Rules()).patient for uid in ("1.2", "1.3"))
    assert one != two
    assert contents(dicom(RAMP, **nobody), Rules()).patient is None


def test_the_facts_name_nobody(dicom):
    path = dicom(RAMP, BitsStored=12, HighBit=11, StudyInstanceUID="1.2.3", InstitutionName="Clinic")
    assert contents(path, Rules()).facts == {
        "modality": "CT", "photometric": "MONOCHROME2", "bits": "12", "encoding": "Explicit VR Little Endian",
        "size": "64 x 64",
    }  # fmt: skip
    assert "modality" not in contents(dicom(RAMP, Modality="Doe^Jane"), Rules()).facts


def test_a_cine_is_never_in_memory_as_a_whole(dicom):
    values = np.random.default_rng(0).integers(0, 256, (60, 128, 128)).astype(np.uint8)
    path = dicom(values)
    tracemalloc.start()
    try:
        for frame, expected in zip(read(path, contents(path, Rules()).parts, Rules()), values, strict=True):
            np.testing.assert_array_equal(frame, expected)
        assert tracemalloc.get_traced_memory()[1] < values.nbytes / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("table", [True, False])
def test_frames_are_found_with_and_without_a_table_of_them(dicom, table):
    values = np.random.default_rng(0).integers(0, 256, (5, 16, 16)).astype(np.uint8)
    path = dicom(values)
    data = dcmread(path)
    data.compress(RLELossless)
    data.PixelData = encapsulate(list(generate_frames(data.PixelData, number_of_frames=5)), has_bot=table)
    data.save_as(path)
    parts = ["frame=4", "frame=0", "frame=3"]
    np.testing.assert_array_equal(np.stack(list(read(path, parts, Rules()))), values[[4, 0, 3]])


def test_many_threads_read_as_one(dicom):
    paths = [dicom(RAMP + row, f"{row}.dcm", BitsStored=13, HighBit=12, Modality="bad value") for row in range(4)]
    expected = [pixels_of(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(pixels_of, paths * 10))
    for row, pixels in enumerate(found):
        np.testing.assert_array_equal(pixels, expected[row % 4])


def test_videos_are_refused(dicom):
    with pytest.raises(ValueError, match="^is encoded as MPEG2 Main Profile / Main Level, which is not read$"):
        pixels_of(dicom(RAMP, syntax=MPEG2MPML, frames=[b"\0" * 64]))
