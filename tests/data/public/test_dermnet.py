import shutil

import pytest

from ssl_robust.files import UserError


def test_folders_are_classes_and_splits(official, load):
    manifest = load("dermnet", official("dermnet"))
    table = manifest.table
    assert len(manifest.classes) == 23
    assert list(manifest.classes) == sorted(manifest.classes)
    assert table["sample_id"].iloc[0] == "train/Acne and Rosacea Photos/0.jpg"
    assert table["label"].iloc[0] == "Acne and Rosacea Photos"
    assert (table["split"] == "test").tolist() == table["sample_id"].str.startswith("test/").tolist()
    assert not manifest.has_patients


def test_a_class_that_was_not_unpacked(official, load):
    root = official("dermnet")
    shutil.rmtree(root / "test" / "Eczema Photos")
    with pytest.raises(
        UserError, match=r"holds no folder 'test/Eczema Photos'; download the set from https://www.kagg"
    ):
        load("dermnet", root)
