import pytest

from ssl_robust.files import UserError


def test_by_body_part(official, load):
    manifest = load("mura", official("mura"))
    table = manifest.table
    assert manifest.classes == ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")
    assert table["sample_id"].iloc[0] == "train/XR_ELBOW/patient00000/study1_positive/image1.png"
    assert table["label"].tolist()[:5] == ["elbow"] * 4 + ["finger"]
    assert table["patient_id"].tolist()[:3] == ["patient00000", "patient00000", "patient00001"]
    assert table.loc[table["split"] == "test", "patient_id"].tolist() == [f"patient{11185 + n}" for n in range(7)]


def test_by_abnormality(official, load):
    manifest = load("mura", official("mura"), label="abnormality")
    assert manifest.classes == ("normal", "abnormal")
    assert manifest.table["label"].tolist()[:2] == ["abnormal", "normal"]
    assert set(manifest.table["label"].tolist()[-7:]) == {"normal"}


def test_a_patient_with_two_body_parts_stays_in_one_split(official, load, add_images):
    root = official("mura")
    for patient in range(14):  # each has a wrist beside his own part
        add_images(root, f"train/XR_WRIST/patient{patient:05}/study3_negative/image1.png")
    table = load("mura", root, fractions={"val": 0.3, "test": 0.2}).table
    assert (table["split"] == "val").any()
    assert table.groupby("patient_id")["split"].nunique().max() == 1


def test_an_image_that_the_official_list_names_is_missed(official, load):
    root = official("mura")
    (root / "train/XR_ELBOW/patient00000/study1_positive/image1.png").unlink()
    with pytest.raises(UserError, match=r"holds no train/XR_ELBOW/patient00000/.*, which train_image_paths.csv names"):
        load("mura", root)
    (root / "train_image_paths.csv").unlink()
    assert len(load("mura", root).table) == 34


def test_unknown_labels_and_other_folders(official, load, add_images):
    root = official("mura")
    with pytest.raises(UserError, match=r"data.label=abnormal does not exist; choose body_part or abnormality"):
        load("mura", root, label="abnormal")
    add_images(root, "train/XR_HAND/patient00077/study1/image1.png")
    with pytest.raises(UserError, match=r"patient00077/study1/image1.png does not lie in XR_PART/patientN/studyN_neg"):
        load("mura", root)
