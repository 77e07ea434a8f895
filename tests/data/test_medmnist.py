import importlib.util
import sys

import numpy as np
import pytest

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError


def load(folder, **options):
    return load_manifest(data_settings("medmnist", root=str(folder), **options))


def stored(folder, name, n_labels=1):
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.zeros((4, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = np.arange(4 * n_labels, dtype=np.uint8).reshape(4, n_labels) % 2
    np.savez(folder / f"{name}.npz", **arrays)


def test_without_the_package_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "medmnist", None)
    monkeypatch.setitem(sys.modules, "medmnist.info", None)
    with pytest.raises(UserError, match=r"pip install \"ssl-robust\[medmnist\]\""):
        load(tmp_path, name="pathmnist")


@pytest.mark.skipif(importlib.util.find_spec("medmnist") is None, reason="medmnist is not installed")
class TestWithThePackage:
    def test_class_names_come_with_the_set(self, tmp_path):
        stored(tmp_path, "pneumoniamnist")
        manifest = load(tmp_path, name="pneumoniamnist")
        assert manifest.classes == ("normal", "pneumonia")
        assert len(manifest.rows("val")) == 4

    def test_sets_with_several_labels_need_a_task(self, tmp_path):
        stored(tmp_path, "chestmnist", n_labels=14)
        with pytest.raises(UserError, match=r"several labels per scan; choose one with data.task=: atelectasis, "):
            load(tmp_path, name="chestmnist")
        with pytest.raises(UserError, match=r"data.task=cardiomegali is none of them"):
            load(tmp_path, name="chestmnist", task="cardiomegali")
        for task in ("cardiomegaly", 1):
            assert load(tmp_path, name="chestmnist", task=task).classes == ("no cardiomegaly", "cardiomegaly")

    def test_a_task_where_there_is_one_label(self, tmp_path):
        with pytest.raises(UserError, match=r"pathmnist has one label per scan, .* leave data\.task= out"):
            load(tmp_path, name="pathmnist", task=0)

    def test_wrong_names_and_missing_files(self, tmp_path):
        with pytest.raises(UserError, match=r"data.name=organmnist3d is not a two-dimensional set"):
            load(tmp_path, name="organmnist3d")
        with pytest.raises(UserError, match=r"data.size=32 does not exist"):
            load(tmp_path, name="pathmnist", size=32)
        with pytest.raises(UserError, match=r"pathmnist_64.npz does not exist; add data.download=true"):
            load(tmp_path, name="pathmnist", size=64)
