import numpy as np
import pytest

from ssl_robust.cli import run
from ssl_robust.data.scanset import open_scans


@pytest.fixture
def said(capsys):
    """Words after `ssl-robust doctor` -> exit code, stdout, stderr."""

    def call(*words):
        code = run(["doctor", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def scans_file(tmp_path):
    """Grey scans of 24 px of two classes."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in {"train": 20, "val": 6, "test": 4}.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 24, 24), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(n) % 2
    np.savez(tmp_path / "scans.npz", **arrays)
    return tmp_path / "scans.npz"


@pytest.fixture
def decode(scans_file):
    """Decode the scans at a size into the cache of this test."""

    def at(size=24):
        from ssl_robust.data.manifest import data_settings

        return open_scans(data_settings("npz", path=str(scans_file), image_size=size))

    return at
