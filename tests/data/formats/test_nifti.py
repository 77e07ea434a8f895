import gzip
import struct
import tracemalloc
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Image

from ssl_robust.data.formats.body import shares
from ssl_robust.data.formats.nifti import contents, read
from ssl_robust.data.formats.rules import AXES, Rules
from ssl_robust.data.scans import read_scan

RAS = np.random.default_rng(0).integers(-1000, 2000, (5, 6, 7)).astype(np.int16)
EXACT = Rules(window=(-32768.0, 32767.0))  # a stored value + 32768 is the pixel
SHIPPED = sorted(Path(nibabel.__file__).parent.glob("tests/data/*.nii*"))


def saved(path, values, *, affine=None, kind=Nifti1Image, slope=None, inter=None, **header):
    image = kind(values, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    if slope is not None:
        image.to_filename(path)
        data = bytearray(path.read_bytes())
        data[112:120] = struct.pack("<ff", slope, inter)
        path.write_bytes(data)
        return path
    image.to_filename(path)
    return path


def opened(path, rules=EXACT):
    parts = contents(path, rules).parts
    return dict(zip(parts, read(path, parts, rules), strict=True))


def stored(pixels):
    return pixels.astype(int) - 32768


@pytest.mark.parametrize("kind", [Nifti1Image, Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("axis", "letter", "shown"),
    [
        ("axial", "z", lambda k: [[RAS[x, y, k] for x in range(4, -1, -1)] for y in range(5, -1, -1)]),
        ("coronal", "y", lambda k: [[RAS[x, k, z] for x in range(4, -1, -1)] for z in range(6, -1, -1)]),
        ("sagittal", "x", lambda k: [[RAS[k, y, z] for y in range(5, -1, -1)] for z in range(6, -1, -1)]),
    ],
)
def test_slices_are_shown_as_a_radiologist_sees_them(tmp_path, kind, ending, axis, letter, shown):
    found = opened(saved(tmp_path / f"a{ending}", RAS, kind=kind), Rules(window=EXACT.window, axis=axis))
    assert list(found) == [f"{letter}={k}" for k in range(RAS.shape["xyz".index(letter)])]
    for k, pixels in enumerate(found.values()):
        assert stored(pixels).tolist() == np.array(shown(k)).tolist()


def test_however_a_volume_is_stored_its_slices_are_the_same(tmp_path):
    spacing = np.diag([1.0, 1.0, 2.0, 1.0])
    expected = {}
    for axis in ("axial", "coronal", "sagittal"):
        expected[axis] = opened(saved(tmp_path / "ras.nii", RAS, affine=spacing), Rules(window=EXACT.window, axis=axis))
    for number, (order, signs) in enumerate(product(permutations(range(3)), product((1, -1), repeat=3))):
        values = RAS.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
        affine = np.zeros((4, 4))
        affine[3, 3] = 1
        for at, (axis, sign) in enumerate(zip(order, signs, strict=True)):
            affine[axis, at] = sign * spacing[axis, axis]
            affine[axis, 3] += 0 if sign > 0 else (values.shape[at] - 1) * spacing[axis, axis]
        path = saved(tmp_path / f"{number}.nii", np.ascontiguousarray(values), affine=affine)
        axis = AXES[number % 3]
        found = opened(path, Rules(window=EXACT.window, axis=axis))
        assert list(found) == list(expected[axis])
        assert all((found[part] == pixels).all() for part, pixels in expected[axis].items()), (order, signs, axis)


def test_an_oblique_volume_goes_to_the_nearest_orientation(tmp_path):
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    plain = opened(saved(tmp_path / "a.nii", RAS))
    assert all(
        (plain[part] == pixels).all() for part, pixels in opened(saved(tmp_path / "b.nii", RAS, affine=affine)).items()
    )


def test_names_are_padded_and_every_nth_slice_is_taken(tmp_path):
    path = saved(tmp_path / "a.nii.gz", np.zeros((4, 4, 120), np.int16))
    assert contents(path, Rules(step=50)).parts == ("z=000", "z=050", "z=100")
    assert contents(path, Rules(axis="sagittal")).parts == ("x=0", "x=1", "x=2", "x=3")
    assert stored(read_scan(path, "z=7", EXACT)).max() == 0


def test_pixels_become_square(tmp_path):
    path = saved(tmp_path / "a.nii", RAS, affine=np.diag([1.0, 1.0, 3.0, 1.0]))
    assert next(iter(opened(path).values())).shape == (6, 5)
    assert next(iter(opened(path, Rules(axis="coronal")).values())).shape == (21, 5)
    assert next(iter(opened(path, Rules(axis="sagittal")).values())).shape == (21, 6)
    assert contents(path, Rules()).facts == {"bits": "16", "voxel": "1 x 1 x 3 mm"}


@pytest.mark.parametrize("dtype", ["<u1", "<i2", ">i2", "<u2", "<i4", ">u4", "<i8", "<f4", ">f4", "<f8"])
def test_all_types_give_their_values(tmp_path, dtype):
    values = np.arange(120).reshape(4, 5, 6)
    path = tmp_path / "a.nii"
    kind = Nifti1Image(values.astype(dtype), np.eye(4), dtype=dtype)
    kind.header.set_data_dtype(dtype)
    Nifti1Image(values.astype(dtype), np.eye(4), kind.header).to_filename(path)
    rules = Rules(window=(0.0, 119.0))
    for k, pixels in enumerate(opened(path, rules).values()):
        expected = values[::-1, ::-1, k].T
        if dtype == "<u1":
            assert pixels.dtype == np.uint8, "8 bits stay as they are"
        else:
            expected = np.rint(expected * (65535 / 119))
        assert np.abs(pixels - expected).max() <= (0 if dtype == "<u1" else 1)


def test_a_ramp_of_12_bits_keeps_all_its_steps_beside_a_wide_integer(tmp_path):
    ramp = np.arange(4096).reshape(16, 16, 16)
    for name, values in (("a", ramp.astype(np.int16)), ("b", (ramp + 2**30).astype(np.int32)), ("c", ramp + 0.5)):
        low = float(values.min())
        found = opened(saved(tmp_path / f"{name}.nii", values), Rules(window=(low, low + 4095)))
        assert len(np.unique(np.stack(list(found.values())))) == 4096


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_volume_has_one_window(tmp_path, ending):
    values = np.zeros((10, 10, 10), np.float32) + np.arange(10, dtype=np.float32)
    found = opened(saved(tmp_path / f"a{ending}", values), Rules(percentiles=(0.0, 100.0)))
    assert [int(pixels[0, 0]) for pixels in found.values()] == [round(k * 65535 / 9) for k in range(10)]
    alone = read_scan(tmp_path / f"a{ending}", "z=4", Rules(percentiles=(0.0, 100.0)))
    assert (alone == found["z=4"]).all()


@pytest.mark.parametrize(
    ("rules", "low", "high"),
    [(Rules(), 100, 500), (Rules(window=(0.0, 1000.0)), 0, 1000), (Rules(window="full"), -32768, 32767)],
)
def test_who_decides_the_window(tmp_path, rules, low, high):
    path = saved(tmp_path / "a.nii", RAS, cal_min=100, cal_max=500)
    expected = np.rint((RAS[::-1, ::-1, 2].T.astype(float) - low) / (high - low) * 65535).clip(0, 65535)
    assert np.abs(opened(path, rules)["z=2"] - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_stored_values_are_scaled_to_measured_ones(tmp_path, dtype):
    values = np.arange(120, dtype=dtype).reshape(4, 5, 6)
    path = saved(tmp_path / "a.nii", values, slope=-2.0, inter=-1000.0)
    pixels = opened(path, Rules(window=(-1238.0, -1000.0)))["z=3"]
    assert pixels.dtype == np.uint16
    assert np.abs(pixels - (238 - 2 * values[::-1, ::-1, 3].T.astype(float)) / 238 * 65535).max() <= 1
    full = opened(path, Rules(window="full"))["z=3"]
    ends = np.iinfo(dtype)
    share = (ends.max - values[::-1, ::-1, 3].T.astype(float)) / (float(ends.max) - ends.min)
    assert np.abs(full - share * 65535).max() <= 1


def test_what_is_not_a_number_is_black(tmp_path):
    values = np.linspace(1, 2, 64, dtype=np.float32).reshape(4, 4, 4)
    values[3, 3, 0], values[0, 3, 0], values[1, 3, 0] = np.nan, np.inf, -np.inf
    pixels = opened(saved(tmp_path / "a.nii", values))["z=0"]
    assert pixels[0].tolist()[0] == 0
    assert pixels[0].tolist()[2:] == [0, 65535]
    path = saved(tmp_path / "b.nii", np.full((4, 4, 4), np.nan, np.float32))
    with pytest.raises(ValueError, match="holds no finite value"):
        opened(path, Rules())
    assert opened(saved(tmp_path / "c.nii", np.full((4, 4, 4), 7.0)), Rules())["z=0"].max() == 0


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_frames_have_a_window_each_and_every_nth_is_taken(tmp_path, ending):
    values = np.stack([RAS[..., :3], 10 * RAS[..., :3], RAS[..., 3:6]], axis=-1)
    path = saved(tmp_path / f"a{ending}", values)
    rules = Rules(percentiles=(0.0, 100.0))
    found = opened(path, rules)
    assert list(found)[:4] == ["t=0,z=0", "t=0,z=1", "t=0,z=2", "t=1,z=0"]
    assert np.abs(found["t=0,z=1"].astype(int) - found["t=1,z=1"]).max() <= 1
    assert contents(path, Rules(frames=2, step=2)).parts == ("t=0,z=0", "t=0,z=2", "t=2,z=0", "t=2,z=2")
    back = list(read(path, ["t=2,z=1", "t=0,z=1"], rules))
    assert (back[0] == found["t=2,z=1"]).all()
    assert (back[1] == found["t=0,z=1"]).all()


def test_one_slice_is_one_scan_wherever_the_axis_points(tmp_path):
    for number, shape in enumerate([(8, 9), (8, 9, 1), (8, 9, 1, 1)]):
        path = saved(tmp_path / f"{number}.nii", np.arange(72, dtype=np.int16).reshape(shape))
        for axis in ("axial", "sagittal"):
            assert contents(path, Rules(axis=axis)).parts == ("",)
            pixels = read_scan(path, "", Rules(window=EXACT.window, axis=axis))
            assert stored(pixels).tolist() == np.arange(72).reshape(8, 9)[::-1, ::-1].T.tolist()
    assert contents(saved(tmp_path / "t.nii", np.zeros((8, 9, 1, 3), np.int16)), Rules()).parts == ("t=0", "t=1", "t=2")


@pytest.mark.parametrize("names", ["RGB", "RGBA"])
def test_colors_come_as_colors(tmp_path, names):
    values = np.random.default_rng(1).integers(0, 256, (4, 5, 3, len(names)), dtype=np.uint8)
    path = saved(tmp_path / "a.nii.gz", values.view([(name, "u1") for name in names])[..., 0])
    for k, pixels in enumerate(opened(path, Rules(body=0.5)).values()):
        assert (pixels == values[::-1, ::-1, k, :3].transpose(1, 0, 2)).all()


def phantom(air, body, noise=20.0):
    """Twelve slices; from the third to the eighth a bright cylinder that fills about a quarter."""
    values = np.random.default_rng(0).normal(air, noise, (20, 20, 12))
    values[5:15, 5:15, 2:8] += body - air
    return values


@pytest.mark.parametrize(
    "values",
    [
        phantom(-1000, 40).astype(np.int16),
        np.where(np.hypot(*np.indices((20, 20)) - 9.5)[..., None] > 9, -3024, phantom(-1000, 40)).astype(np.int16),
        phantom(30, 400).clip(0).astype(np.int16),
        np.where(phantom(0, 500) > 250, phantom(0, 500), 0).astype(np.float32),
        np.where(phantom(0, 500) > 250, phantom(0, 500), np.nan).astype(np.float32),
    ],
    ids=["CT", "CT with filling", "MRI", "MRI without skull", "NaN outside"],
)
@pytest.mark.parametrize("metal", [0, 30000])
def test_slices_of_background_are_left_out(tmp_path, values, metal):
    values = values.copy()
    values[6, 6, 3] += metal
    path = saved(tmp_path / "a.nii.gz", values)
    assert contents(path, Rules(body=0.1)).parts == tuple(f"z={k:02}" for k in range(2, 8))
    assert contents(path, Rules(body=0.1, step=3)).parts == ("z=03", "z=06")
    assert contents(path, Rules(body=0.5)).parts == ()


def test_background_of_a_large_volume_is_told_by_a_part_of_it():
    values = np.repeat(np.repeat(np.repeat(phantom(-1000, 40), 10, 0), 10, 1), 6, 2)
    assert values.size > 2**21
    share = shares(values, 2)
    assert (np.flatnonzero(share >= 0.1) == np.arange(12, 48)).all()
    assert np.abs(share[12:48] - 0.25).max() < 1e-6


def test_a_volume_of_one_value_is_background(tmp_path):
    assert contents(saved(tmp_path / "a.nii", np.full((4, 4, 4), -1000, np.int16)), Rules(body=0.01)).parts == ()
    nearly = np.zeros((20, 20, 20), np.int16)
    nearly[3:6, 3:6, 4] = 100
    assert contents(saved(tmp_path / "b.nii", nearly), Rules(body=0.01)).parts == ("z=04",)


def test_of_an_unpacked_file_only_the_slice_is_read(tmp_path):
    path = saved(tmp_path / "a.nii", np.zeros((64, 64, 2000), np.int16))
    read_scan(path, "z=250", EXACT)
    tracemalloc.start()
    read_scan(path, "z=250", EXACT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000, f"{peak} bytes for 8,192 out of 16 million"


def damaged(path, **fields):
    header = Nifti1Image(RAS, np.eye(4)).header
    header["magic"], header["vox_offset"] = b"n+1", 352
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(4) + RAS.tobytes(order="F"))
    return path


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"magic": b"ni1"}, "is one of a pair of files"),
        ({"magic": b"abc"}, "is no NIfTI file .an Analyze file"),
        ({"dim": [3, 5, 0, 7, 1, 1, 1, 1]}, "header with the dimensions .5, 0, 7."),
        ({"dim": [3, 5, -6, 7, 1, 1, 1, 1]}, "header with the dimensions .5, -6, 7."),
        ({"dim": [0, 5, 6, 7, 1, 1, 1, 1]}, "header with the dimensions"),
        ({"dim": [3, 300, 300, 300, 1, 1, 1, 1]}, "is cut short: its header promises 54,000,000 bytes"),
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, "more than can be read"),
        ({"dim": [4, 2, 2, 2, 32767, 1, 1, 1]}, "is cut short"),
        ({"dim": [4, 2, 2, 200, 32767, 1, 1, 1]}, "more than can be read"),
        ({"dim": [5, 5, 6, 2, 1, 3, 1, 1]}, "holds 5 x 6 x 2 x 1 x 3 values; expected a volume"),
        ({"dim": [1, 210, 1, 1, 1, 1, 1, 1]}, "expected a volume"),
        ({"datatype": 32}, "complex values"),
        ({"datatype": 77}, "the data type 77, which does not exist"),
        ({"datatype": 0}, "expected whole numbers"),
        ({"vox_offset": 1e30}, "is cut short"),
        ({"vox_offset": np.nan}, "begin at byte nan"),
        ({"srow_x": np.nan, "sform_code": 1}, "does not say how the volume lies"),
        ({"srow_x": 0, "srow_y": 0, "srow_z": 0, "sform_code": 1}, "does not say how the volume lies"),
        ({"pixdim": [1, np.nan, 1, 1, 1, 1, 1, 1], "sform_code": 0}, "does not say how the volume lies"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_impossible_headers_are_refused(tmp_path, fields, sentence, packed):
    path = damaged(tmp_path / "a.nii", **fields)
    if packed:
        if "is cut short" in sentence and fields.get("vox_offset") is None:
            fields = {"dim": [3, 2000, 1000, 1000, 1, 1, 1, 1]}
            path = damaged(tmp_path / "a.nii", **fields)
            sentence = "is cut short"
        path = tmp_path / "a.nii.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    for part in ("", "z=0"):
        with pytest.raises(ValueError, match=sentence):
            read_scan(path, part, EXACT)


@pytest.mark.parametrize(
    "fields",
    [{"pixdim": 0, "sform_code": 0}, {"sform_code": 0}, {"sform_code": 77}, {"vox_offset": 0, "sform_code": 0}],
)
def test_headers_that_can_be_mended_are(tmp_path, fields, capfd):
    found = opened(damaged(tmp_path / "a.nii", **fields))
    assert len(found) == 7
    # Without sform and qform, x counts as stored from right to left.
    assert stored(found["z=2"]).tolist() == RAS[:, ::-1, 2].T.tolist()
    assert capfd.readouterr() == ("", ""), "nibabel's remarks are not for the user"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_files_that_are_cut_short_say_so(tmp_path, ending):
    path = saved(tmp_path / f"a{ending}", RAS)
    whole = path.read_bytes()
    for length in (0, 3, 100, 300, len(whole) // 2 + 100, len(whole) - 2):
        path.write_bytes(whole[:length])
        with pytest.raises((ValueError, EOFError), match="is no NIfTI|cut short|ended before"):
            read_scan(path, "z=6", EXACT)


def test_a_damaged_packed_file_is_told_by_its_checksum(tmp_path):
    path = saved(tmp_path / "a.nii.gz", RAS)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(whole)
    with pytest.raises(OSError, match="CRC"):
        opened(path)


def test_a_pair_is_not_read(tmp_path):
    header = Nifti1PairHeader()
    header.set_data_shape((4, 4, 4))
    (tmp_path / "a.nii").write_bytes(header.binaryblock)
    with pytest.raises(ValueError, match=r"pair of files \(.hdr and .img\).*save it as .nii.gz"):
        read_scan(tmp_path / "a.nii")


def test_parts_that_are_not_there_are_named(tmp_path):
    path = saved(tmp_path / "a.nii", RAS)
    for part, sentence in [
        ("", "holds 7 slices; name one, as in a.nii#z=0"),
        ("z=7", "has no part z=7; its last one is z=6"),
        ("page=1", "has no part page=1; with this data.axis its parts are named as in z=0"),
        ("z=-1", "has no part z=-1"),
        ("z", "has no part z"),
        ("y=1", "named as in z=0"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            read_scan(path, part)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_volumes_that_come_with_nibabel_are_read_or_refused(path):
    if path.name == "row_major.dconn.nii":
        with pytest.raises(ValueError, match="holds 1 x 1 x 1 x 1 x 10 x 10 values; expected a volume"):
            contents(path, Rules())
        return
    image = nibabel.as_closest_canonical(nibabel.load(path))
    for axis, name in enumerate(("sagittal", "coronal", "axial")):
        found = opened(path, Rules(axis=name, window=(-100.0, 4000.0)))
        assert len(found) == image.shape[axis] * (image.shape[3] if image.ndim == 4 else 1)
        assert not any(pixels.dtype == np.uint16 and pixels.ndim != 2 for pixels in found.values())
    values = np.asarray(image.dataobj)[..., 1] if image.ndim == 3 else np.asarray(image.dataobj)[..., 1, 0]
    if path.name != "standard.nii.gz":  # 8 bits, and pixels that are not square
        part = next(part for part in contents(path, Rules()).parts if part.endswith(("z=1", "z=01")))
        expected = (np.nan_to_num(values[::-1, ::-1].T.astype(float), nan=-100) + 100) / 4100 * 65535
        assert np.abs(read_scan(path, part, Rules(window=(-100.0, 4000.0))) - expected.clip(0, 65535)).max() <= 1
