"""A set that has grown is decoded where it is new, and comes out as if it had been decoded at once."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data import cache
from ssl_robust.data.cache import decoded
from ssl_robust.data.decoding import Geometry
from ssl_robust.data.formats import pictures
from ssl_robust.data.sources import FileSource

DRAWS = np.random.default_rng(0)
GREY = DRAWS.integers(0, 256, (6, 16, 16), dtype=np.uint8)
DEEP = DRAWS.integers(0, 65536, (2, 16, 16), dtype=np.uint16)
COLOR = DRAWS.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
AUTO = Geometry(16, None, "pad")


@pytest.fixture
def folder(tmp_path):
    for kind, scans in (("grey", GREY), ("deep", DEEP), ("color", COLOR)):
        for number, scan in enumerate(scans):
            Image.fromarray(scan).save(tmp_path / f"{kind}{number}.png")
    return tmp_path


@pytest.fixture
def decode(folder, monkeypatch, tmp_path_factory):
    """Decode some files of the folder; returns pixels, and the names of the files that were opened."""
    cache, opened = tmp_path_factory.mktemp("cache"), []
    real = pictures.read
    monkeypatch.setattr(pictures, "read", lambda path, *rest: opened.append(path.name) or real(path, *rest))

    def decode(*names, into=cache, geometry=AUTO):
        opened.clear()
        files = [folder / f"{name}.png" for name in names]
        pixels = np.array(decoded(FileSource(files, list(names)), len(files), geometry, into).pixels)
        return pixels, [name.removesuffix(".png") for name in opened]

    decode.folder, decode.cache = folder, cache
    return decode


def fresh(decode, tmp_path_factory, *names):
    return decode(*names, into=tmp_path_factory.mktemp("fresh"))[0]


@pytest.mark.parametrize("added", [["grey4", "grey5"], ["deep0"], ["color0"], ["deep1", "color1", "grey5"]])
def test_only_new_scans_are_decoded_and_all_are_as_from_nothing(decode, tmp_path_factory, added):
    decode("grey0", "grey1", "grey2")
    names = [added[0], "grey2", "grey0", *added[1:]]  # in another order, and without one of them
    pixels, opened = decode(*names)
    assert sorted(opened) == sorted(added)
    np.testing.assert_array_equal(pixels, fresh(decode, tmp_path_factory, *names))


def test_a_set_that_lost_its_only_colours_and_16_bits_is_grey_again(decode, tmp_path_factory):
    decode("grey0", "color0", "deep0", "grey1")
    pixels, opened = decode("grey0", "grey1")
    assert opened == []
    assert (pixels.shape, pixels.dtype) == ((2, 16, 16, 1), np.uint8)
    np.testing.assert_array_equal(pixels, fresh(decode, tmp_path_factory, "grey0", "grey1"))


def test_a_changed_file_and_another_shape_are_decoded_again(decode):
    decode("grey0", "grey1")
    os.utime(decode.folder / "grey1.png", ns=(1, 1))
    assert sorted(decode("grey0", "grey1", "grey2")[1]) == ["grey1", "grey2"]  # read side by side
    assert len(decode("grey0", "grey1", geometry=Geometry(8, 1, "pad"))[1]) == 2


def test_a_scan_that_could_not_be_read_is_tried_again(decode):
    whole = (decode.folder / "grey1.png").read_bytes()
    (decode.folder / "grey1.png").write_bytes(b"no picture")
    decode("grey0", "grey1", "grey2")
    (decode.folder / "grey1.png").write_bytes(whole)
    pixels, opened = decode("grey0", "grey1", "grey2", "grey3")
    assert sorted(opened) == ["grey1", "grey3"]
    np.testing.assert_array_equal(pixels[..., 0], GREY[:4])


@pytest.mark.parametrize("harm", [lambda file: file.write_bytes(b""), os.unlink, lambda file: np.save(file, [1])])
def test_what_is_damaged_is_not_taken_over(decode, harm):
    decode("grey0", "grey1")
    (rows,) = decode.cache.glob("*.rows.npy")
    harm(rows)
    pixels, opened = decode("grey0", "grey1", "grey2")
    assert sorted(opened) == ["grey0", "grey1", "grey2"]
    np.testing.assert_array_equal(pixels[..., 0], GREY[:3])


def test_the_screen_says_how_fast_and_what_was_taken_over(decode, capsys):
    decode("grey0", "grey1")
    assert "Decoded 2 scans in" in capsys.readouterr().out
    decode("grey0", "grey1", "grey2")
    line = capsys.readouterr().out
    assert "Decoded 1 scan in" in line
    assert ", took 2 over from an earlier time (one core: pictures " in line


# A builder in a process of its own: a set that grows file by file, each of which takes its time.
GROWER = """
import sys, time
from pathlib import Path
from ssl_robust.data.cache import decoded
from ssl_robust.data.decoding import Geometry
from ssl_robust.data.formats import pictures
from ssl_robust.data.sources import FileSource
read = pictures.read
pictures.read = lambda *given: time.sleep(0.002) or read(*given)
names = sorted(path.stem for path in Path(sys.argv[1]).glob("*.png"))
print("ready", flush=True)
for n in range(1, len(names) + 1):
    files = [Path(sys.argv[1]) / f"{name}.png" for name in names[:n]]
    decoded(FileSource(files, names[:n]), n, Geometry(16, None, "pad"), Path(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_twenty_kills_lose_and_corrupt_nothing(decode, tmp_path_factory):
    names = sorted(path.stem for path in decode.folder.glob("*.png"))
    whole = {n: fresh(decode, tmp_path_factory, *names[:n]) for n in range(1, len(names) + 1)}
    kept, moments = tmp_path_factory.mktemp("killed"), random.Random(0)
    environment = {**os.environ, "PYTHONPATH": str(Path(cache.__file__).resolve().parents[2])}
    for _ in range(20):
        command = [sys.executable, "-c", GROWER, str(decode.folder), str(kept)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as builder:
            assert builder.stdout is not None
            assert builder.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0.0, 0.15))
            builder.kill()
        before = len([each for each in kept.glob("*.json") if each.name[0] != "."])
        for n in range(1, before + 1):  # what was finished is whole, and is opened without a look at a file
            pixels, opened = decode(*names[:n], into=kept)
            np.testing.assert_array_equal(pixels, whole[n])
            assert opened == []
    for n, expected in whole.items():
        np.testing.assert_array_equal(decode(*names[:n], into=kept)[0], expected)
