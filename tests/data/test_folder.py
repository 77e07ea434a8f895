import os
import sys

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError


def tree(root, *names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(root / name)
    return root


def load(root, **options):
    return load_manifest(data_settings("folder", path=str(root), **options))


def test_sub_folders_are_classes(tmp_path):
    manifest = load(tree(tmp_path, "grade 10/a.png", "grade 2/b/c.JPG", "grade 2/a.png", "loose.png"))
    assert manifest.table["sample_id"].tolist() == ["grade 10/a.png", "grade 2/a.png", "grade 2/b/c.JPG", "loose.png"]
    assert manifest.classes == ("grade 2", "grade 10")
    assert manifest.codes().tolist() == [1, 0, 0, -1]
    assert [int(manifest.source.read(row)[0, 0]) for row in range(4)] == [0, 2, 1, 3]


@pytest.mark.parametrize("names", [("a.png", "b.png"), ("scans/a.png", "scans/b.png"), ("x/y/a.png", "x/y/b.png")])
def test_images_alone_are_unlabelled_and_all_train(tmp_path, names):
    manifest = load(tree(tmp_path, *names))
    assert manifest.classes == ()
    assert manifest.table["split"].tolist() == ["train", "train"]
    assert manifest.table["sample_id"].tolist() == list(names)


def test_a_table_beside_scans_without_a_class_is_named(tmp_path, capsys):
    tree(tmp_path, "a.png", "b.png")
    load(tmp_path)
    assert capsys.readouterr().err == ""
    (tmp_path / "labels.csv").write_text("path,label\na.png,x\nb.png,y\n")
    load(tmp_path)
    assert f"has labels: data=csv data.path={tmp_path}/labels.csv" in capsys.readouterr().err
    tree(tmp_path, "x/c.png")
    load(tmp_path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("wrapper", ["", "chest_xray/"])
def test_split_folders_are_the_split(tmp_path, wrapper):
    names = [f"{wrapper}{split}/{label}/1.jpeg" for split in ("Test", "train", "valid") for label in ("NORMAL", "SICK")]
    manifest = load(tree(tmp_path, *names))
    assert manifest.table["split"].tolist() == ["test", "test", "train", "train", "val", "val"]
    assert manifest.table["label"].tolist() == ["NORMAL", "SICK"] * 3
    assert manifest.table["sample_id"].tolist() == names


def test_split_folders_beside_others_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"splits test, train beside the folder extra"):
        load(tree(tmp_path, "train/a/1.png", "test/a/1.png", "extra/1.png"))


def test_a_class_may_be_called_like_a_split(tmp_path):
    assert load(tree(tmp_path, "control/1.png", "test/1.png")).classes == ("control", "test")


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    tree(tmp_path, "a/1.png", "b/1.png", "a/._1.png", ".cache/x.png", "__MACOSX/a/1.png")
    (tmp_path / "notes.txt").write_text("x")
    assert load(tmp_path).table["sample_id"].tolist() == ["a/1.png", "b/1.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_that_lead_back_up_end(tmp_path):
    tree(tmp_path / "set", "a/1.png", "b/1.png")
    tree(tmp_path / "elsewhere", "1.png")
    os.symlink(tmp_path / "set", tmp_path / "set/a/loop", target_is_directory=True)
    os.symlink(tmp_path / "elsewhere", tmp_path / "set/c", target_is_directory=True)
    assert load(tmp_path / "set").table["sample_id"].tolist() == ["a/1.png", "b/1.png", "c/1.png"]


def test_empty_and_imageless_folders_say_what_they_hold(tmp_path):
    with pytest.raises(UserError, match=r"holds no image \(it is empty\); expected .bmp"):
        load(tmp_path)
    (tmp_path / "scan.mha").write_bytes(b"x")
    with pytest.raises(UserError, match=r"holds no image \(1 .mha\); expected .bmp"):
        load(tmp_path)
    with pytest.raises(UserError, match=r"is a file; give a folder"):
        load(tmp_path / "scan.mha")


def test_patients_from_the_path(tmp_path, capsys):
    tree(tmp_path, "a/person1_x.png", "a/person1_y.png", "b/person2_x.png", "b/other.png")
    manifest = load(tmp_path, patient_pattern=r"person(\d+)", ids="plain")
    assert manifest.table["patient_id"].fillna("-").tolist() == ["1", "1", "-", "2"]
    assert "does not match 1 of 4 file names" in capsys.readouterr().err
    assert load(tmp_path, patient_pattern=r"person\d+", ids="plain").table["patient_id"].iloc[0] == "person1"
    with pytest.raises(UserError, match=r"matches no path, e.g. not a/person1_x.png"):
        load(tmp_path, patient_pattern="patient")
    with pytest.raises(UserError, match=r"is not a regular expression"):
        load(tmp_path, patient_pattern="(")


def test_any_folder_name_works(tmp_path):
    root = tree(tmp_path / "Müller (2024)" / "a,b = 'c'", "gut/ä 1.png", "schlecht/ö,2.png")
    manifest = load(root)
    assert manifest.table["sample_id"].tolist() == ["gut/ä 1.png", "schlecht/ö,2.png"]
    assert manifest.source.read(1)[0, 0] == 1


def test_a_folder_has_no_columns_to_name(tmp_path):
    with pytest.raises(UserError, match=r"data.columns.patient_id=case names a column .*data.patient_pattern="):
        load(tree(tmp_path, "a/1.png", "b/2.png"), columns={"patient_id": "case"})
