import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from ssl_robust.data import cache as module
from ssl_robust.data.cache import cache_directory, decoded
from ssl_robust.data.decoding import Geometry
from ssl_robust.data.formats import pictures
from ssl_robust.data.formats.rules import Rules
from ssl_robust.data.sources import ArraySource, FileSource
from ssl_robust.run import UserError

AUTO = Geometry(None, None, "pad")
COLOR = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
# A builder in a process of its own: scans that take their time, so that it can be disturbed.
BUILDER = """
import sys, time
from pathlib import Path
import numpy as np
from ssl_robust.data.cache import decoded
from ssl_robust.data.decoding import Geometry
from ssl_robust.data.sources import ArraySource
class Slow(ArraySource):
    def read(self, row):
        time.sleep(float(sys.argv[2]))
        return super().read(row)
images = np.arange(20, dtype=np.uint8)[:, None, None] + np.zeros((1, 16, 16), np.uint8)
print(decoded(Slow(images, "slow"), 20, Geometry(None, None, "pad"), Path(sys.argv[1])).pixels[:, 0, 0, 0].tolist())
"""


def files(folder, arrays):
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{number}.png")
    paths = [folder / f"{number}.png" for number in range(len(arrays))]
    return FileSource(paths, [path.name for path in paths])


def started(folder, seconds):
    root = str(Path(module.__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.Popen([sys.executable, "-c", BUILDER, str(folder), str(seconds)],
                            stdout=subprocess.PIPE, text=True, env=environment)  # fmt: skip


def finished(process):
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output.split("\n")[0]


@pytest.fixture
def reads(monkeypatch):
    """The files that are decoded from here on."""
    seen = []
    real = pictures.read
    monkeypatch.setattr(pictures, "read", lambda path, *rest: seen.append(path) or real(path, *rest))
    return seen


def test_the_second_time_nothing_is_decoded(tmp_path, cache, reads):
    source = files(tmp_path, COLOR)
    first = decoded(source, 12, AUTO, cache)
    assert len(reads) == 1 + 12  # the first one for its size
    again = decoded(source, 12, AUTO, cache)
    assert len(reads) == 1 + 12  # the first one for its size
    assert isinstance(again.pixels, np.memmap)
    assert (again.pixels == first.pixels).all()
    assert (first.pixels == COLOR).all()


def test_the_speed_is_told_of_files_alone_and_of_what_was_decoded_now(tmp_path, cache, capsys):
    Image.fromarray(COLOR[0]).save(tmp_path / "a.png")
    source = FileSource([tmp_path / "a.png"], ["a.png"])
    decoded(source, 1, AUTO, cache)
    line = capsys.readouterr().out
    assert re.match(r"Decoded 1 scan in \d+\.\d s", line)
    assert " (one core: pictures " in line
    decoded(source, 1, AUTO, cache)
    decoded(ArraySource(COLOR, "arrays"), 12, AUTO, cache)
    assert capsys.readouterr().out == ""


def test_a_changed_file_or_geometry_is_decoded_again(tmp_path, cache, reads):
    decoded(files(tmp_path, COLOR), 12, AUTO, cache)
    os.utime(tmp_path / "3.png", ns=(1, 1))
    names = [f"{number}.png" for number in range(12)]
    decoded(FileSource([tmp_path / name for name in names], names), 12, AUTO, cache)
    assert len(reads) == (1 + 12) + (1 + 1)  # the others are taken over
    small = decoded(FileSource([tmp_path / name for name in names], names), 12, Geometry(8, 1, "squash"), cache)
    assert small.pixels.shape == (12, 8, 8, 1)
    assert len(reads) == (1 + 12) + (1 + 1) + 12


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_mixed_scans_share_the_widest_type(tmp_path, cache, order):
    deep = (COLOR[0, ..., 0].astype(np.uint16) << 4) + 3
    kinds = [COLOR[1, ..., 0], COLOR[2], deep, COLOR[3, ..., 1]]
    found = decoded(files(tmp_path, [kinds[i] for i in order]), 4, AUTO, cache).pixels
    assert found.dtype == np.uint16
    assert found.shape == (4, 16, 16, 3)
    for row, i in enumerate(order):
        stored = kinds[i] if i == 2 else kinds[i].astype(np.uint16) * 257
        assert (found[row] == (stored if stored.ndim == 3 else stored[..., None])).all()


def test_auto_size_is_at_most_64_and_fits_small_scans(tmp_path, cache):
    for side in (80, 20):
        source = ArraySource(np.zeros((2, side // 2, side), np.uint8), str(side))
        assert decoded(source, 2, AUTO, cache).pixels.shape == (2, min(side, 64), min(side, 64), 1)


def test_channels_as_asked(tmp_path, cache):
    grey, color = ArraySource(COLOR[..., 0], "g"), ArraySource(COLOR, "c")
    assert decoded(grey, 12, Geometry(None, 3, "pad"), cache).pixels.shape[3] == 3
    assert decoded(color, 12, Geometry(None, 1, "pad"), cache).pixels.shape[3] == 1
    equal = ArraySource(np.repeat(COLOR[..., :1], 3, axis=3), "e")
    assert decoded(equal, 12, AUTO, cache).pixels.shape[3] == 1


def test_unreadable_scans_are_left_out_with_the_reason(tmp_path, cache):
    source = files(tmp_path, [COLOR[0], *COLOR[:3]])
    (tmp_path / "0.png").write_bytes((tmp_path / "1.png").read_bytes()[:200])
    (tmp_path / "2.png").write_text("not an image")
    found = decoded(source, 4, AUTO, cache)
    assert (found.pixels == COLOR[[0, 2]]).all()
    assert [each["row"] for each in found.unreadable] == [0, 2]
    assert "truncated" in found.unreadable[0]["reason"]
    assert found.unreadable[1]["reason"] == "is not an image"


def test_a_file_that_could_not_be_had_is_tried_again(tmp_path, cache, monkeypatch):
    source = files(tmp_path, COLOR)
    real = pictures.read

    def flaky(path, *rest):
        if path.name == "5.png":
            raise OSError(5, "Input/output error", str(path))
        return real(path, *rest)

    monkeypatch.setattr(pictures, "read", flaky)
    assert decoded(source, 12, AUTO, cache).unreadable == [{"row": 5, "reason": "input/output error", "retry": True}]
    monkeypatch.undo()
    assert decoded(source, 12, AUTO, cache).unreadable == []


def test_when_none_can_be_read_nothing_is_left_behind(tmp_path, cache):
    (tmp_path / "x.png").write_text("no")
    with pytest.raises(UserError, match=r"none of the 1 scans can be read; the first one: is not an image"):
        decoded(FileSource([tmp_path / "x.png"], ["x.png"]), 1, AUTO, cache)
    assert list(cache.iterdir()) == []


def test_a_partial_array_is_never_taken_for_complete(tmp_path, cache):
    source = ArraySource(COLOR, "c")
    expected = decoded(source, 12, AUTO, cache).pixels.copy()
    array, description = next(cache.glob("*.npy")), next(cache.glob("*.json"))
    for damage in (
        lambda: array.write_bytes(array.read_bytes()[:-1]),
        lambda: description.write_text(""),
        lambda: description.unlink(),
        lambda: array.unlink(),
    ):
        damage()
        assert (decoded(source, 12, AUTO, cache).pixels == expected).all()


def test_a_killed_builder_leaves_nothing_that_counts(cache):
    builder = started(cache, 0.2)
    while not list(cache.glob(".*.npy")):
        assert builder.poll() is None
        time.sleep(0.01)
    builder.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    builder.wait(timeout=10)
    builder.communicate()
    assert not list(cache.glob("*.json"))
    assert finished(started(cache, 0)) == str(list(range(20)))
    left = next(cache.glob(".*.npy"))
    os.utime(left, (0, 0))
    decoded(ArraySource(COLOR, "another"), 12, AUTO, cache)
    assert not left.exists(), "leftovers go after a day"


def test_two_builders_at_once(cache):
    both = [started(cache, 0.02), started(cache, 0.02)]
    assert [finished(each) for each in both] == [str(list(range(20)))] * 2
    assert len(list(cache.glob("*.npy"))) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write decoded scans to .*file.*data.cache_dir"):
        decoded(ArraySource(COLOR, "c"), 12, AUTO, tmp_path / "file" / "cache")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_scans_of_patients_are_for_their_owner_alone(tmp_path):
    place = tmp_path / "new" / "cache"
    decoded(ArraySource(COLOR, "c"), 12, AUTO, place)
    assert place.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in place.iterdir()} == {0o600}
    assert len(list(place.iterdir())) == 2


def test_where_the_cache_lies(monkeypatch, tmp_path):
    assert cache_directory(str(tmp_path)) == tmp_path
    monkeypatch.setenv("SSL_ROBUST_CACHE", str(tmp_path / "env"))
    assert cache_directory(None) == tmp_path / "env"
    monkeypatch.delenv("SSL_ROBUST_CACHE")
    assert cache_directory(None).name == "ssl_robust"


@pytest.mark.parametrize(
    ("top", "rules", "note"),
    [
        (3870, Rules(), "use 12 of their 16 bits (largest value 3,870); 'data.window=[0,4095]' makes them as bright"),
        (4096, Rules(window="full"), "use 13 of their 16 bits (largest value 4,096); 'data.window=[0,8191]'"),
        (16384, Rules(), ""),
        (0, Rules(), ""),
        (3870, Rules(window=(0.0, 65535.0)), ""),
    ],
)
def test_pictures_that_use_few_of_their_bits_are_told_of_once(tmp_path, cache, capsys, top, rules, note):
    deep = np.tile(np.array([0, top], np.uint16), (40, 20))  # edges, at which resizing overshoots
    Image.fromarray(deep).save(tmp_path / "a.png")
    Image.fromarray(COLOR[0]).save(tmp_path / "b.png")
    source = FileSource([tmp_path / "a.png", tmp_path / "b.png"], ["a.png", "b.png"], rules=rules)
    decoded(source, 2, Geometry(16, None, "pad"), cache)
    found = capsys.readouterr().err
    assert (note in found) if note else (found == "")
    decoded(source, 2, Geometry(16, None, "pad"), cache)
    assert capsys.readouterr().err == ""


def test_what_a_window_has_scaled_is_not_told_of(tmp_path, cache, capsys):
    values = np.zeros((8, 8, 2), np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    decoded(FileSource([tmp_path / "a.nii"], ["a.nii#z=0"], ["z=0"], Rules(window=(-100.0, 10000.0))), 1, AUTO, cache)
    decoded(ArraySource(np.full((2, 8, 8), 99, np.uint16), "x"), 2, AUTO, cache)
    assert capsys.readouterr().err == ""
