import pytest

from ssl_robust.files import UserError

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
HEADER = f"image,{','.join(CLASSES)},UNK,score_weight,validation_weight\n"


def add_test_set(root, add_images):
    add_images(root, "ISIC_2019_Test_Input/ISIC_0034321.jpg", "ISIC_2019_Test_Input/ISIC_0034322.jpg")
    (root / "ISIC_2019_Test_Metadata.csv").write_text(
        "image,age_approx,anatom_site_general,sex\nISIC_0034321,60,,male\n"
    )
    (root / "ISIC_2019_Test_GroundTruth.csv").write_text(
        f"{HEADER}ISIC_0034321,0,0,0,0,0,0,0,1.0,0,1.0,0.0\nISIC_0034322,0,0,0,0,0,0,0,0,1.0,0.0,0.0\n"
    )


def test_the_training_set_alone_is_split_by_lesion(official, load):
    manifest = load("isic2019", official("isic2019"))
    table = manifest.table
    assert manifest.classes == CLASSES
    assert table["sample_id"].tolist()[:2] == [
        "ISIC_2019_Training_Input/ISIC_0000000.jpg",
        "ISIC_2019_Training_Input/ISIC_0000001_downsampled.jpg",
    ]
    assert table["label"].tolist()[:16:2] == list(CLASSES)
    assert table["patient_id"].fillna("-").tolist() == [f"BCN_{n // 2:07}" for n in range(46)] + ["-", "-"]
    assert table.groupby("patient_id")["split"].nunique().max() == 1
    assert set(table["split"]) == {"train", "val", "test"}


def test_with_the_official_test_set(official, load, add_images):
    root = official("isic2019")
    add_test_set(root, add_images)
    table = load("isic2019", root).table
    test = table[table["split"] == "test"]
    assert test["sample_id"].tolist() == [
        "ISIC_2019_Test_Input/ISIC_0034321.jpg",
        "ISIC_2019_Test_Input/ISIC_0034322.jpg",
    ]
    assert test["label"].fillna("-").tolist() == ["SCC", "-"]
    assert test["patient_id"].isna().all()
    assert (table["split"] == "val").any()


@pytest.mark.parametrize("part", ["ISIC_2019_Test_Input", "ISIC_2019_Test_GroundTruth.csv"])
def test_half_of_a_test_set_is_none(official, load, add_images, tmp_path_factory, part):
    root = official("isic2019")
    add_test_set(root, add_images)
    (root / part).rename(tmp_path_factory.mktemp("away") / part)
    with pytest.raises(UserError, match=rf"holds no .*{part}"):
        load("isic2019", root)


def test_broken_tables(official, load):
    root = official("isic2019")
    truth = root / "ISIC_2019_Training_GroundTruth.csv"
    lines = truth.read_text().splitlines()
    truth.write_text("\n".join([*lines, "ISIC_0000099,1.0" + ",0.0" * 8]) + "\n")
    with pytest.raises(UserError, match=r"holds no ISIC_2019_Training_Input/ISIC_0000099.jpg, which ISIC_2019_Train"):
        load("isic2019", root)
    truth.write_text("\n".join([*lines, "ISIC_0000002,1.0,1.0" + ",0.0" * 7]) + "\n")
    with pytest.raises(UserError, match=r"GroundTruth.csv: ISIC_0000002 has several labels; expected one 1.0"):
        load("isic2019", root)
    truth.write_text("\n".join(lines) + "\n")
    (root / "ISIC_2019_Training_Metadata.csv").unlink()
    with pytest.raises(UserError, match=r"holds no ISIC_2019_Training_Metadata.csv; download the set"):
        load("isic2019", root)
