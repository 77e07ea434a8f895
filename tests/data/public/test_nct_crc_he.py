import shutil

import pytest

from ssl_robust.files import UserError


def test_two_archives_are_train_and_test(official, load):
    manifest = load("nct_crc_he", official("nct_crc_he"))
    table = manifest.table
    assert manifest.classes == ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
    assert table["sample_id"].iloc[0] == "NCT-CRC-HE-100K/ADI/ADI-AAAFLCLA.tif"
    assert table["label"].tolist()[:5] == ["ADI"] * 4 + ["BACK"]
    test = table["split"] == "test"
    assert table.loc[test, "sample_id"].tolist() == [
        f"CRC-VAL-HE-7K/{kind}/{kind}-TCGA-AAICEQFN.tif" for kind in manifest.classes
    ]
    assert not manifest.has_patients


def test_the_patches_as_they_were_stained(official, load):
    root = official("nct_crc_he")
    with pytest.raises(UserError, match=r"holds no folder 'NCT-CRC-HE-100K-NONORM'"):
        load("nct_crc_he", root, train="NCT-CRC-HE-100K-NONORM")
    (root / "NCT-CRC-HE-100K").rename(root / "NCT-CRC-HE-100K-NONORM")
    manifest = load("nct_crc_he", root, train="NCT-CRC-HE-100K-NONORM")
    assert manifest.table["sample_id"].iloc[0] == "NCT-CRC-HE-100K-NONORM/ADI/ADI-AAAFLCLA.tif"


def test_one_archive_of_two(official, load):
    root = official("nct_crc_he")
    shutil.rmtree(root / "CRC-VAL-HE-7K")
    with pytest.raises(UserError, match=r"holds no folder 'CRC-VAL-HE-7K'; download the set from https://zenodo.org"):
        load("nct_crc_he", root)
