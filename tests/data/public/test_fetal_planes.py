import pytest

from ssl_robust.files import UserError


def test_lines_of_the_table(official, load):
    manifest = load("fetal_planes", official("fetal_planes"))
    table = manifest.table
    assert table["sample_id"].tolist()[:2] == [
        "Images/Patient00001_Plane1_1_of_2.png",
        "Images/Patient00001_Plane2_2_of_2.png",
    ]
    assert table["label"].tolist()[:12:2] == [
        "Maternal cervix", "Fetal abdomen", "Fetal brain", "Fetal femur", "Fetal thorax", "Other"
    ]  # fmt: skip
    assert manifest.classes == (
        "Fetal abdomen", "Fetal brain", "Fetal femur", "Fetal thorax", "Maternal cervix", "Other"
    )  # fmt: skip
    assert table["patient_id"].tolist() == [str(patient) for patient in range(1, 13) for _ in range(2)]


def test_the_official_test_stays_and_val_is_of_train(official, load):
    table = load("fetal_planes", official("fetal_planes")).table
    assert table.loc[table["split"] == "test", "patient_id"].tolist() == ["11", "11", "12", "12"]
    assert (table["split"] == "val").sum() == 2  # the scans of one patient


def test_a_lost_image_and_another_table_are_named(official, load):
    root = official("fetal_planes")
    (root / "Images" / "Patient00003_Plane1_1_of_2.png").unlink()
    with pytest.raises(UserError, match=r"holds no Images/Patient00003_Plane1_1_of_2.png, which FETAL_PLANES_DB_data"):
        load("fetal_planes", root)
    (root / "Images" / "Patient00004_Plane1_1_of_2.png").unlink()
    with pytest.raises(UserError, match=r"Patient00003_Plane1_1_of_2.png and 1 other files, which"):
        load("fetal_planes", root)
    (root / "FETAL_PLANES_DB_data.csv").write_text("Image_name;Patient;Plane;Train \na;1;Other;1 \n")
    with pytest.raises(UserError, match=r"has no column 'Patient_num' but Image_name, Patient, Plane, Train; download"):
        load("fetal_planes", root)


def test_a_line_without_a_split_is_named(official, load):
    root = official("fetal_planes")
    table = root / "FETAL_PLANES_DB_data.csv"
    table.write_text(table.read_text().replace(";1 \n", ";1.0\n"))
    with pytest.raises(
        UserError, match=r"data.csv: Patient00001_Plane1_1_of_2 has Train=1.0; expected 1 \(train\) or 0"
    ):
        load("fetal_planes", root)
