"""What holds of every public set; the YAMLs are found by themselves."""

import shutil

import pytest

from ssl_robust.data.manifest import data_settings
from ssl_robust.files import UserError
from ssl_robust.noise.transitions import noise_of
from ssl_robust.settings import choices, compose, config_directory, defaults

SETS = [name for name in choices("data") if ".public." in defaults("data", name)["_target_"]]
UNREAD = {
    "Infection Segmentation Data",
    *(f"{half}_{what}.csv" for half in ("train", "valid") for what in ("image_paths", "labeled_studies")),
    *("FETAL_PLANES_DB_data.xlsx", "README.md"),
}


def test_there_are_sets():
    assert set(SETS) >= {"fetal_planes", "dermnet", "covid_qu_ex", "mura", "nct_crc_he", "isic2019"}


@pytest.mark.parametrize("name", [*SETS, "medmnist"])
def test_the_yaml_says_whose_it_is_and_where_to_get_it(name):
    text = (config_directory() / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    for word in ("# Get ", "# Splits: ", "# Licence: ", "Cite: ", f"data={name} ", "https://"):
        assert word in text


@pytest.mark.parametrize("name", SETS)
def test_every_class_trains_and_no_patient_is_on_both_sides(name, official, load):
    manifest = load(name, official(name))
    train = manifest.rows("train")
    assert set(manifest.codes()[train]) == set(range(len(manifest.classes)))
    assert all(len(manifest.rows(split)) for split in ("val", "test"))
    assert manifest.source.read(int(train[0])).shape == (8, 8)
    assert not manifest.table["sample_id"].str.startswith("/").any()


@pytest.mark.parametrize("name", SETS)
def test_the_user_may_order_the_classes(name, official, load):
    usual = load(name, root := official(name))
    turned = load(name, root, classes=usual.classes[::-1])
    assert turned.table["label"].equals(usual.table["label"])
    known = usual.codes() >= 0
    assert (turned.codes() + usual.codes())[known].tolist() == [len(usual.classes) - 1] * known.sum()


@pytest.mark.parametrize("name", SETS)
def test_class_groups_are_classes_and_reach_the_noise(name, official, load):
    classes = load(name, official(name)).classes
    overrides = [f"data={name}", "noise=class_dependent", "noise.class_groups=${data.class_groups}"]
    groups = [list(group) for group in compose("finetune", overrides).noise.class_groups]
    matrix = noise_of("class_dependent", classes, {"rate": 0.2, "class_groups": groups}).chances
    assert (matrix.diagonal() < 1).sum() == sum(map(len, groups)) > 1


@pytest.mark.parametrize("name", SETS)
def test_ids_and_splits_do_not_hang_on_the_place_or_a_folder_around(name, official, load, tmp_path_factory):
    root = official(name)
    wrapper = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(root, wrapper / "unpacked")
    assert load(name, root).table.equals(load(name, wrapper).table)


@pytest.mark.parametrize("name", SETS)
def test_hidden_files_of_macs_are_passed_over(name, official, load):
    root = official(name)
    before = load(name, root).table
    for file in [each for each in root.rglob("*") if each.suffix in (".png", ".jpg", ".tif")]:
        (file.parent / f"._{file.name}").write_bytes(b"x")
    (root / "__MACOSX").mkdir()
    assert load(name, root).table.equals(before)


@pytest.mark.parametrize("name", SETS)
def test_what_is_missing_is_named_with_the_address(name, load, tmp_path):
    homepage = data_settings(name)["homepage"]
    assert homepage.startswith("https://")
    with pytest.raises(UserError, match=rf"nowhere does not exist; .* download it from {homepage} and unpack it$"):
        load(name, tmp_path / "nowhere")
    with pytest.raises(
        UserError, match=rf"holds no .*; give the folder that does, or download the set from {homepage}"
    ):
        load(name, tmp_path)


@pytest.mark.parametrize("name", SETS)
def test_every_part_of_the_archive_is_missed(name, official, load, tmp_path_factory):
    root, away = official(name), tmp_path_factory.mktemp("away")
    for part in sorted(each.name for each in root.iterdir() if each.name not in UNREAD):
        (root / part).rename(away / part)
        with pytest.raises(
            UserError, match=rf"^data.path=.* holds no [^\n]*{part}[^\n]*download the set from https://"
        ):
            load(name, root)
        (away / part).rename(root / part)
