"""Whatever a file holds: pixels of a known type, or an exception; and what it says in another order is the same."""

import gzip
import io

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tiffs import png16, tiff

from ssl_robust.data.formats.known import format_of
from ssl_robust.data.formats.rules import AXES, Rules
from ssl_robust.data.formats.values import limits, windowed
from ssl_robust.data.scans import read_scan

steady = settings(
    max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VOLUME = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
GREY = np.arange(120, dtype=np.uint8).reshape(10, 12)


def _png():
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, "PNG")
    return out.getvalue()


FILES = {
    ".nii": nibabel.Nifti1Image(VOLUME, np.eye(4)).to_bytes(),
    ".nii.gz": gzip.compress(nibabel.Nifti2Image(VOLUME, np.eye(4)).to_bytes()),
    ".png": _png(),
    ".tif": tiff(GREY.astype(np.float32), GREY, GREY.astype(np.uint16), deflate=True),
}


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged tags
@pytest.mark.parametrize("ending", FILES)
@steady
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path, ending, data):
    raw = bytearray(FILES[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    path = tmp_path / f"a{ending}"
    path.write_bytes(raw)
    rules = Rules(axis=data.draw(st.sampled_from(AXES)), body=data.draw(st.sampled_from([0.0, 0.1])), frames=2)
    try:
        parts = format_of(path).contents(path, rules).parts
        scans = [read_scan(path, part, rules) for part in parts[:2] + parts[-1:]]
    except (AssertionError, IndexError, KeyError, MemoryError):
        raise
    except Exception:
        return
    assert all(scan.dtype in (np.uint8, np.uint16) and scan.ndim in (2, 3) and scan.size for scan in scans)


@steady
@given(
    values=arrays(np.int16, st.tuples(*[st.integers(2, 5)] * 3), elements=st.integers(-1024, 3071)),
    order=st.permutations(range(3)),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    packed=st.booleans(),
    axis=st.sampled_from(AXES),
)
def test_a_volume_is_the_same_however_it_is_stored(tmp_path, values, order, signs, packed, axis):
    affine = np.eye(4)[:, [*order, 3]] * [*signs, 1]
    turned = nibabel.Nifti1Image(
        np.ascontiguousarray(values.transpose(order)[tuple(slice(None, None, s) for s in signs)]), affine
    )
    rules = Rules(axis=axis)
    found = []
    for number, image in enumerate((nibabel.Nifti1Image(values, np.eye(4)), turned)):
        path = tmp_path / (f"{number}.nii.gz" if packed else f"{number}.nii")
        path.write_bytes(gzip.compress(image.to_bytes(), 1) if packed else image.to_bytes())
        kind = format_of(path)
        parts = kind.contents(path, rules).parts
        found.append((parts, [pixels.tolist() for pixels in kind.read(path, parts, rules)]))
    assert found[0] == found[1]


@steady
@given(
    values=arrays(np.uint16, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))), order=st.sampled_from("<>")
)
def test_all_bits_of_a_deep_color_arrive(tmp_path, values, order):
    (tmp_path / "a.png").write_bytes(png16(values))
    (tmp_path / "a.tif").write_bytes(tiff(values, order=order))
    for name in ("a.png", "a.tif"):
        found = read_scan(tmp_path / name)
        assert (found == (values[..., 0] if found.ndim == 2 else values)).all()


@steady
@given(
    values=arrays(
        st.sampled_from([np.float32, np.float64]),
        st.integers(1, 30),
        elements=st.floats(width=32, allow_subnormal=False),
    )
)
def test_any_floats_have_a_window(values):
    if not np.isfinite(values).any():
        return
    low, high = limits(values, Rules(), told=None, full=None)
    pixels = windowed(values, low, high)
    assert low < high
    assert pixels.dtype == np.uint16
    rising = np.argsort(values, kind="stable")
    known = rising[~np.isnan(values[rising])]
    assert (np.diff(pixels[known].astype(int)) >= 0).all(), "brighter never becomes darker"
