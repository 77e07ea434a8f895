import shutil

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.columns import read_table
from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError


@pytest.fixture
def root(tmp_path):
    for name in ("ill/Smith_1.png", "ill/Smith_2.png", "well/Jones_1.png"):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "scans" / name)
    return tmp_path / "scans"


def load(root, **options):
    return load_manifest(data_settings("folder", path=str(root), **options))


PATTERN = {"patient_pattern": "([A-Z][a-z]+)_"}


def test_ids_are_hashed_where_the_paths_name_patients(root):
    plain = load(root, **PATTERN, ids="plain")
    assert plain.table["sample_id"].tolist() == ["ill/Smith_1.png", "ill/Smith_2.png", "well/Jones_1.png"]
    assert load(root).table["sample_id"].tolist() == plain.table["sample_id"].tolist()
    assert not list(root.glob("*ssl-robust*"))
    hashed = load(root, **PATTERN)
    assert not any(name in hashed.table.to_csv() for name in ("Smith", "Jones"))
    assert hashed.table["sample_id"].is_unique
    assert (hashed.groups() == plain.groups()).all()
    assert (hashed.table["split"] == plain.table["split"]).all()
    key = read_table(root / "ssl-robust-ids.csv").set_index("sample_id")["scan"]
    assert key[hashed.table["sample_id"]].tolist() == plain.table["sample_id"].tolist()


def test_the_salt_decides_and_travels_with_the_data(root, tmp_path):
    first = load(root, ids="hashed").table["sample_id"].tolist()
    shutil.copytree(root, tmp_path / "copy")
    assert load(tmp_path / "copy", ids="hashed").table["sample_id"].tolist() == first
    other = load(root, ids="hashed", ids_folder=str(tmp_path / "elsewhere")).table["sample_id"].tolist()
    assert not set(other) & set(first)
    assert (tmp_path / "elsewhere" / "ssl-robust-ids.csv").is_file()


def test_the_list_keeps_scans_that_are_gone(root):
    load(root, ids="hashed")
    (root / "ill" / "Smith_2.png").unlink()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "well" / "Brown_1.png")
    load(root, ids="hashed")
    assert len(read_table(root / "ssl-robust-ids.csv")) == 4


def test_what_cannot_be_hashed_is_said(root):
    with pytest.raises(UserError, match=r"data\.ids=secret does not exist; expected auto, plain or hashed"):
        load(root, ids="secret")
    with pytest.raises(UserError, match=r"name it with data\.ids_folder="):
        load_manifest(data_settings("phantoms", n_patients=2, ids="hashed"))
    (root / ".ssl-robust-salt").touch()
    with pytest.raises(UserError, match="holds no salt"):
        load(root, ids="hashed")


def test_a_folder_that_cannot_be_written(root):
    with pytest.raises(UserError, match=r"cannot be kept in .*Smith_1\.png \(.*\); name a folder"):
        load(root, ids="hashed", ids_folder=str(root / "ill" / "Smith_1.png"))
