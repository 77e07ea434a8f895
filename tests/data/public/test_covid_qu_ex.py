def test_radiographs_of_the_lung_half_without_masks(official, load):
    manifest = load("covid_qu_ex", official("covid_qu_ex"))
    top, names = "Lung Segmentation Data/Lung Segmentation Data", ("covid_1", "non_COVID (1)", "Normal (1)")
    assert manifest.classes == ("COVID-19", "Non-COVID", "Normal")
    assert manifest.table["sample_id"].tolist() == [
        f"{top}/{split}/{label}/images/{name}.png"
        for split in ("Train", "Val", "Test")
        for label, name in zip(manifest.classes, names, strict=True)
    ]
    assert manifest.table["label"].tolist() == list(manifest.classes) * 3
    assert manifest.table["split"].tolist() == ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    assert not manifest.has_patients


def test_the_half_may_lie_in_one_folder_alone(official, load):
    root = official("covid_qu_ex")
    top = root / "Lung Segmentation Data"
    for split in ("Train", "Val", "Test"):
        (top / "Lung Segmentation Data" / split).rename(top / split)
    (top / "Lung Segmentation Data").rmdir()
    assert load("covid_qu_ex", root).table["sample_id"].iloc[0] == (
        "Lung Segmentation Data/Train/COVID-19/images/covid_1.png"
    )
