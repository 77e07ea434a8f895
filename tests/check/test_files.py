import numpy as np
from PIL import Image
from planted import opened, textures

from ssl_robust.check.files import file_facts, folders, tables
from ssl_robust.data.manifest import data_settings, load_manifest


def test_what_pictures_say_of_themselves(tmp_path):
    grey, color = textures(1)[0][:32], np.repeat(textures(1)[0][..., None], 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(color).save(tmp_path / "b.jpg")
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(grey).save(tmp_path / "c.jpg", exif=turned)
    Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "d.tif")
    (tmp_path / "e.png").write_bytes(b"no picture")
    facts = file_facts(load_manifest(data_settings("folder", path=str(tmp_path))))
    assert facts["format"].tolist() == ["PNG", "JPEG", "JPEG", "TIFF", "pictures"]
    assert facts["height"].tolist()[:4] == [32, 64, 64, 32]
    assert facts["bits"].tolist()[:4] == ["8", "8", "8", "16"]
    assert facts["color"].tolist()[:4] == ["grey", "color", "grey", "grey"]
    assert facts["bytes"].tolist() == [file.stat().st_size for file in sorted(tmp_path.iterdir())]
    found = tables(facts)
    assert found["sizes"][0] == {"height": 32, "width": 64, "n": 2}
    assert found["n_sizes"] == 3
    assert {"value": "JPEG", "n": 2} in found["texts"]["format"]
    assert found["bytes"]["minimum"] == len(b"no picture")


def test_arrays_have_a_size_and_no_files(tmp_path):
    scans = opened(tmp_path, textures(4), splits=["train", "train", "test", "test"])
    facts = file_facts(scans.manifest)
    assert facts[["height", "width"]].to_numpy().tolist() == [[64, 64]] * 4
    assert tables(facts)["bytes"] is None
    assert folders(scans.manifest) is None


def test_folders_of_labels_and_splits_are_no_folders(tmp_path):
    for place in ("train/ill/site1", "train/well/site1", "test/ill/site2", "test/well/site1"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(textures(1)[0]).save(tmp_path / place / "a.png")
    manifest = load_manifest(data_settings("folder", path=str(tmp_path)))
    sites = np.where(["site2" in name for name in manifest.table["sample_id"]], 2, 1)
    assert len(np.unique(np.stack([folders(manifest), sites]), axis=1).T) == 2
