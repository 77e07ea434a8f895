"""DICOM as files come: those that pydicom is tested with, those that hold no picture, damaged and hostile ones."""

import re
import shutil
import struct
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing
from pydicom.uid import JPEG2000, ImplicitVRLittleEndian, RLELossless, RTPlanStorage

from ssl_robust.data.formats.dicom import contents, read
from ssl_robust.data.formats.dicomdir import listed
from ssl_robust.data.formats.known import kind_of
from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.files import UserError

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
DISC = FILES / "dicomdirtests"
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
REFUSED = {
    "JPEG-lossy.dcm": r"has damaged pixels \(frame 0, JPEG Extended\)",
    "JPEG2000-embedded-sequence-delimiter.dcm": r"holds 1024 x 3722445056 pixels \(frame 0\), not the 1024 x 256 .*",
    "MR_truncated.dcm": "is cut short: 8,130 of 8,192 bytes of its pixels are there",
    "badVR.dcm": "has no usable NumberOfFrames in its header",
    "DICOMDIR": r"holds no picture \(Media Storage Directory\)",
    "rtplan.dcm": r"holds no picture \(RT Plan\)",
    "rtplan_truncated.dcm": r"holds no picture \(RT Plan\)",
    "test-SR.dcm": r"holds no picture \(Comprehensive SR\)",
    "waveform_ecg.dcm": r"holds no picture \(12-lead ECG Waveform\)",
    "meta_missing_tsyntax.dcm": "has no usable Rows in its header",
    "README.txt": "is no DICOM file",
    "zipMR.gz": "is no DICOM file",
}
ANY = r"is no DICOM file|holds no picture( \([A-Z0-9][\w /-]+\))?|has no usable \w+ in its header"


def expected_frame(data, index):
    """The frame as pydicom shows it, from 0 to 65535, and how far rounding may be off."""
    frames = data.pixel_array
    values = frames if int(data.get("NumberOfFrames") or 1) == 1 else frames[index]
    photometric, bits = data.PhotometricInterpretation, data.BitsStored
    if photometric == "PALETTE COLOR":
        values, low, high = apply_color_lut(values, data), 0, 65280
    elif values.ndim == 3:
        low, high = 0, 2**bits - 1
    else:
        values = apply_modality_lut(values, data)
        low, high = np.percentile(frames if values is frames else apply_modality_lut(frames, data), [0.5, 99.5])
        if data.get("WindowWidth"):
            values = apply_windowing(values, data)
            low, high = apply_windowing(np.array([-1e9, 1e9]), data)
        elif bits <= 12:
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if data.PixelRepresentation else (0, 2**bits - 1)
    shown = (np.asarray(values, float) - low) / (high - low) * 65535
    return np.clip(65535 - shown if photometric == "MONOCHROME1" else shown, 0, 65535)


def outcome(path):
    """The frames of a file, or the sentence that refuses it."""
    try:
        return list(read(path, contents(path, Rules()).parts, Rules())), None
    except ValueError as error:
        return [], str(error)


@pytest.mark.parametrize("path", [path for path in sorted(FILES.rglob("*")) if path.is_file()], ids=lambda p: p.name)
def test_pydicoms_own_files_are_read_right_or_refused_in_a_sentence(path):
    frames, said = outcome(path)
    if said is not None:
        assert re.fullmatch(REFUSED.get(path.name, ANY), said)
        return
    assert path.name not in REFUSED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dcmread(path)
        for index, frame in enumerate(frames):
            expected = expected_frame(data, index)
            wide = frame.astype(float) * (257 if frame.dtype == np.uint8 else 1)
            assert wide.shape == expected.shape
            assert np.abs(wide - expected).max() <= 2


def test_no_file_that_pydicom_decodes_is_refused():
    undecodable = {"JPEG-lossy.dcm", "JPEG2000-embedded-sequence-delimiter.dcm", "MR_truncated.dcm", "badVR.dcm"}
    for path in FILES.glob("*.dcm"):
        if path.name in undecodable:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = dcmread(path, force=True)
        if "Rows" in data and "PixelData" in data:
            assert contents(path, Rules()).facts["size"] == f"{data.Rows} x {data.Columns}"


def refusal(path):
    """What reading the file is refused with, which names neither the file nor anybody."""
    with pytest.raises(ValueError, match="[a-z]") as caught:
        list(read(path, [""], Rules()))
    assert path.name not in str(caught.value)
    assert "DOE" not in str(caught.value)
    return str(caught.value)


def test_what_holds_no_picture_says_what_it_is(dicom):
    path = dicom(RAMP, SOPClassUID=RTPlanStorage)
    data = dcmread(path)
    del data.PixelData
    data.save_as(path)
    assert re.fullmatch(r"holds no picture \(RT Plan\)", refusal(path))
    data.SOPClassUID = "1.2.3.4"
    data.save_as(path)
    assert re.fullmatch("holds no picture", refusal(path))


def test_claims_are_compared_with_the_file_before_memory_is_taken(dicom):
    absurd = {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 10000}
    plain, coded = dicom(RAMP, "a.dcm", **absurd), dicom(RAMP, "b.dcm", syntax=JPEG2000, frames=[b"\0" * 99], **absurd)
    many = dicom(RAMP, "c.dcm", NumberOfFrames=999_999_999)
    counted = dicom(RAMP, "d.dcm", syntax=RLELossless, frames=[b"\0" * 99], NumberOfFrames=999_999_999)
    tracemalloc.start()
    try:
        assert re.fullmatch("claims 65535 x 65535 pixels; expected no more than 178,956,970", refusal(plain))
        assert re.fullmatch("claims 65535 x 65535 pixels; expected no more than 178,956,970", refusal(coded))
        assert re.fullmatch("is cut short: 8,192 of 8,191,999,991,808 bytes of its pixels are there", refusal(many))
        assert re.fullmatch("claims 999,999,999 frames in 128 bytes; it is damaged or cut short", refusal(counted))
        for path in (plain, coded, many, counted):
            with pytest.raises(ValueError, match="claims|cut short"):
                contents(path, Rules())
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", ["693_J2KI.dcm", "SC_rgb_jpeg_gdcm.dcm", "JPEGLSNearLossless_16.dcm", "SC_rgb_jpeg.dcm"]
)
def test_frames_that_call_themselves_another_size_than_the_header_are_not_decoded(tmp_path, name):
    raw = bytearray((FILES / name).read_bytes())
    place = raw.find(b"\xff\x4f\xff\x51")
    if place >= 0:
        raw[place + 8 : place + 16] = struct.pack(">2I", 60000, 60000)
    else:
        place = next(raw.find(mark) for mark in (b"\xff\xc3", b"\xff\xf7", b"\xff\xc0") if mark + b"\0" in raw)
        raw[place + 5 : place + 9] = struct.pack(">2H", 60000, 60000)
    (tmp_path / "a.dcm").write_bytes(raw)
    assert re.fullmatch(
        r"holds 60000 x 60000 pixels \(frame 0\), not the \d+ x \d+ of its header", refusal(tmp_path / "a.dcm")
    )


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"Rows": 0}, "has no usable Rows in its header"),
        ({"BitsAllocated": None}, "has no usable BitsAllocated in its header"),
        ({"SamplesPerPixel": 4}, "has 4 samples per pixel; expected 1 or 3"),
        ({"NumberOfFrames": -2}, "has no usable NumberOfFrames in its header"),
        ({"PhotometricInterpretation": None}, "has no PhotometricInterpretation in its header"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "has a RescaleSlope of 0, by which all values would be the same"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "has a look-up table without a descriptor"),
    ],
)
def test_headers_that_fit_no_picture_are_refused(dicom, elements, sentence):
    assert re.fullmatch(sentence, refusal(dicom(RAMP, **elements)))


def test_runs_that_go_on_beyond_the_picture_are_damage(dicom):
    """The decoder panics over them, with what is no `Exception`."""
    pytest.importorskip("rle")
    run = bytes([129, 7])  # 128 times the value 7
    first, second = run * (RAMP.size // 128 + 1), run * (RAMP.size // 128)
    frame = struct.pack("<16I", 2, 64, 64 + len(first), *[0] * 13) + first + second
    path = dicom(RAMP, syntax=RLELossless, frames=[frame])
    assert refusal(path) == "has damaged pixels (frame 0, RLE Lossless)"


def test_an_element_of_the_wrong_kind_quotes_nobody(dicom):
    path = dicom(RAMP, WindowCenter=12345678, WindowWidth=1)
    raw = path.read_bytes()
    rows = struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 64)
    assert raw.count(rows) == raw.count(b"12345678") == 1
    path.write_bytes(raw.replace(rows, struct.pack("<HH2sH", 0x28, 0x10, b"LO", 8) + b"DOE^JANE"))
    assert re.fullmatch("has no usable Rows in its header", refusal(path))
    path.write_bytes(raw.replace(b"12345678", b"DOE^JANE"))
    assert re.fullmatch(r"is damaged \(ValueError\)", refusal(path))


def test_a_nest_of_sequences_is_refused(dicom):
    item, end = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\x28\x00\x10\x30SQ\0\0\xff\xff\xff\xff"
    path = dicom(RAMP)
    raw = path.read_bytes()
    place = raw.index(struct.pack("<HH2s", 0x28, 0x10, b"US"))
    path.write_bytes(raw[:place] + (end + item) * 20_000 + raw[place:])
    assert re.fullmatch("is damaged: its header cannot be read", refusal(path))


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_files_cut_short_are_refused(dicom, kept):
    path = dicom(RAMP)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    assert re.fullmatch(
        "is cut short: .*|holds no picture.*|is damaged.*|has no usable .*|is no DICOM file", refusal(path)
    )


def test_bytes_changed_at_random_give_a_picture_or_a_sentence(dicom):
    raw = dicom(RAMP, WindowCenter=1, WindowWidth=9, RescaleSlope=2, RescaleIntercept=1).read_bytes()
    rng, path = np.random.default_rng(0), dicom(RAMP)
    head = len(raw) - RAMP.nbytes
    for _ in range(80):
        changed = bytearray(raw)
        for place in rng.integers(132, head, 3):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        frames, said = outcome(path)
        assert all(frame.dtype in (np.uint8, np.uint16) for frame in frames)
        assert not re.search(r"JANE|tmp|a\.dcm|\n", said or "")


def test_a_file_without_its_first_132_bytes_is_read_if_it_is_dicom(dicom, tmp_path):
    whole = dicom(RAMP, syntax=ImplicitVRLittleEndian, BitsStored=12, HighBit=11)
    data = dcmread(whole)
    bare = Dataset(data)
    bare.save_as(tmp_path / "bare.dcm", implicit_vr=True, little_endian=True)
    (expected,), (pixels,) = read(whole, [""], Rules()), read(tmp_path / "bare.dcm", [""], Rules())
    np.testing.assert_array_equal(pixels, expected)
    for text in (b"", b"no scan", b"path,label\n" * 99):
        (tmp_path / "text.dcm").write_bytes(text)
        assert re.fullmatch("is no DICOM file", refusal(tmp_path / "text.dcm"))


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "none.dcm", [""], Rules()))


def test_names_say_nothing_about_files_of_a_scanner(dicom, tmp_path):
    for name in ("IM000001", "1.2.840.113619.2", "a.IMA", "b.dcm"):
        assert kind_of(dicom(RAMP, name)) == "dicom"
    (tmp_path / "README").write_text("no scan")
    shutil.copy(DISC / "DICOMDIR", tmp_path / "dicomdir")
    assert kind_of(tmp_path / "README") is kind_of(tmp_path / "dicomdir") is None


def test_a_folder_of_scans_has_hashed_ids_and_patients_together(dicom, tmp_path):
    for row in range(6):
        dicom(np.stack([RAMP, RAMP]) if row == 5 else RAMP, f"DOE_{row}", PatientID=f"P{row // 2}", PatientName="DOE")
    shutil.copy(DISC / "DICOMDIR", tmp_path)
    manifest = load_manifest(data_settings("folder", path=str(tmp_path)))
    assert len(manifest) == 7
    groups = manifest.groups()
    assert [len(set(groups[rows])) for rows in ([0, 1], [2, 3], [4, 5, 6])] == [1, 1, 1]
    assert len(set(groups)) == 3
    shown = manifest.table.to_csv()
    assert not re.search(r"DOE|frame=|\bP[0-2]\b", shown)
    assert manifest.source.read(6).shape == (64, 64)


def test_folders_of_patients_are_no_classes_unless_they_are_named(dicom, tmp_path, capsys):
    for row in range(4):
        (tmp_path / f"DOE_{row // 2}").mkdir(exist_ok=True)
        dicom(RAMP, f"DOE_{row // 2}/{row}", PatientID=f"P{row // 2}")
    path = str(tmp_path)
    assert load_manifest(data_settings("folder", path=path)).classes == ()
    assert "each folder of data.path=" in capsys.readouterr().err
    named = load_manifest(data_settings("folder", path=path, classes=["DOE_0", "DOE_1"]))
    assert named.classes == ("DOE_0", "DOE_1")
    dicom(RAMP, "DOE_0/5", PatientID="P7")
    assert load_manifest(data_settings("folder", path=path)).classes == ("DOE_0", "DOE_1")


def test_the_list_of_a_disc_names_its_pictures(tmp_path):
    shutil.copytree(DISC, tmp_path / "disc")
    there = sorted(path for path in (tmp_path / "disc").glob("*/*/*") if path.name.isdigit())
    names = listed(tmp_path / "disc" / "DICOMDIR")
    assert sorted(names) == [path.relative_to(tmp_path / "disc").as_posix() for path in there]
    manifest = load_manifest(data_settings("folder", path=str(tmp_path / "disc" / "DICOMDIR")))
    assert len(manifest) == len(there) == 31
    assert manifest.personal
    assert manifest.classes == ()
    assert [manifest.source.read(row).shape for row in range(3)] == [(16, 16)] * 3


@pytest.mark.parametrize("place", [["..", "secret"], ["/etc/passwd"], ["a", "../../b"], ["C:\\x"], ["link", "x"]])
def test_a_list_that_leads_out_of_its_folder_is_refused(tmp_path, place):
    disc = tmp_path / "disc"
    disc.mkdir()
    (tmp_path / "outside").mkdir()
    (disc / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    (tmp_path / "outside" / "x").touch()
    data = dcmread(DISC / "DICOMDIR")
    record = next(each for each in data.DirectoryRecordSequence if each.DirectoryRecordType == "IMAGE")
    record["ReferencedFileID"]._value = place
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.save_as(disc / "DICOMDIR")
    with pytest.raises(UserError, match="lists a file outside its folder"):
        listed(disc / "DICOMDIR")


def test_a_list_without_pictures_is_refused(tmp_path):
    shutil.copy(DISC / "DICOMDIR-empty.dcm", tmp_path / "DICOMDIR")
    with pytest.raises(UserError, match="lists no picture; give the folder of its pictures"):
        listed(tmp_path / "DICOMDIR")
    (tmp_path / "DICOMDIR").write_text("no list")
    with pytest.raises(UserError, match="cannot be read as a DICOMDIR"):
        listed(tmp_path / "DICOMDIR")
