"""What may lie in a tree under an image's name: nothing hangs, nothing ends the run, everything is named."""

import os
import socket
import struct
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.data.scanset import open_scans
from ssl_robust.run import UserError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and links of Unix")


@pytest.fixture
def root(tmp_path):
    """Ten readable scans."""
    for row in range(10):
        (tmp_path / "scans" / "ab"[row % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), row, np.uint8)).save(tmp_path / "scans" / "ab"[row % 2] / f"{row}.png")
    return tmp_path / "scans"


def reasons(root, **options):
    """Why scans of a folder are left out, by their names; ten others are read."""
    scans = open_scans(data_settings("folder", path=str(root), max_unreadable=0.9, **options))
    assert len(scans) == 10
    return {each["sample_id"]: each["reason"] for each in scans.unreadable}


def huge_png(side):
    """The header of a picture of side x side pixels, and nearly nothing of it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(2**16))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["pipe.png", "pipe.jpg", "pipe.tif"])
def test_a_pipe_is_not_waited_for(root, name):
    os.mkfifo(root / "a" / name)
    assert reasons(root) == {f"a/{name}": "is no file but a folder, pipe, socket or device"}


def test_a_pipe_without_an_ending_is_passed_over(root):
    os.mkfifo(root / "a" / "IM000001")
    assert reasons(root) == {}


def test_a_socket_and_an_endless_device(root, monkeypatch):
    monkeypatch.chdir(root / "a")  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s.png")
        os.symlink("/dev/zero", root / "a" / "z.png")
        assert set(reasons(root).values()) == {"is no file but a folder, pipe, socket or device"}


def test_a_folder_with_an_images_name_is_a_folder(root):
    (root / "a.png").mkdir()
    os.rename(root / "a" / "0.png", root / "a.png" / "0.png")
    assert load_manifest(data_settings("folder", path=str(root))).classes == ("a", "a.png", "b")


def test_gigabytes_of_nothing_and_pictures_of_gigapixels_cost_nothing(root):
    with (root / "a" / "sparse.png").open("wb") as file:
        file.truncate(2**34)
    (root / "a" / "wide.png").write_bytes(huge_png(200_000))
    started = time.monotonic()
    found = reasons(root)
    assert found["a/sparse.png"] == "is not an image"
    assert "has more pixels" in found["a/wide.png"]
    assert time.monotonic() - started < 30


def test_a_link_to_itself_and_one_to_nothing(root):
    os.symlink(root / "a" / "self.png", root / "a" / "self.png")
    os.symlink(root / "a" / "gone", root / "a" / "broken.png")
    assert reasons(root) == {
        "a/self.png": "too many levels of symbolic links",
        "a/broken.png": "no such file or directory",
    }


def test_a_file_that_vanishes_after_it_was_listed(root, monkeypatch):
    from ssl_robust.data import scanset

    original = scanset.decoded

    def late(*args):
        (root / "a" / "0.png").unlink()
        return original(*args)

    monkeypatch.setattr(scanset, "decoded", late)
    scans = open_scans(data_settings("folder", path=str(root), max_unreadable=0.9))
    assert len(scans) == 9
    assert scans.unreadable == [{"sample_id": "a/0.png", "reason": "no such file or directory"}]


def test_a_folder_that_may_not_be_read_is_named(root, monkeypatch):
    original = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match=r"the folder .*/b cannot be looked into \(permission denied\); let it be read"):
        load_manifest(data_settings("folder", path=str(root)))


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(root):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "a" / "secret.png")
    (root / "a" / "secret.png").chmod(0)
    assert reasons(root) == {"a/secret.png": "permission denied"}


@pytest.mark.parametrize("option", ["csv", "npz", "folder"])
def test_data_that_are_a_pipe(tmp_path, option):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"data\.path=.*pipe is a pipe, socket or device; give the path of a f"):
        load_manifest(data_settings(option, path=str(tmp_path / "pipe")))


def test_a_table_that_names_pipes_and_devices(root):
    os.mkfifo(root / "pipe.png")
    good = "".join(f"{'ab'[i % 2]}/{i}.png\n" for i in range(10))
    (root / "t.csv").write_text(f"path\npipe.png\n/dev/zero\na\n{good}")
    scans = open_scans(data_settings("csv", path=str(root / "t.csv"), max_unreadable=0.9))
    assert len(scans) == 10
    assert {each["reason"] for each in scans.unreadable} == {"is no file but a folder, pipe, socket or device"}
