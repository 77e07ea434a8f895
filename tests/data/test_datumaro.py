import json

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError

LABELS = [{"name": name, "parent": "", "attributes": []} for name in ("well", "ill", "rare")]


def item(name, *codes, path=None, **attr):
    """As Datumaro 1.x writes it; other annotations stand beside the labels."""
    labels = [{"id": 0, "type": "label", "attributes": {"score": 1.0}, "group": 0, "label_id": code} for code in codes]
    box = {"id": 1, "type": "bbox", "attributes": {}, "group": 1, "label_id": 0, "z_order": 0, "bbox": [0, 0, 4, 4]}
    return {"id": name, "annotations": [box, *labels], "attr": attr, "image": {"path": path or f"{name}.png"}}


def written(root, **subsets):
    number = 0
    for subset, items in subsets.items():
        for each in items:
            place = root / "images" / subset / each["image"]["path"]
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), number, np.uint8)).save(place)
            number += 1
        content = {
            "dm_format_version": "1.0",
            "media_type": 2,
            "infos": {},
            "categories": {"label": {"labels": LABELS, "label_groups": [], "attributes": []}},
            "items": items,
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{subset}.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def load(path, **options):
    return load_manifest(data_settings("datumaro", path=str(path), **options))


def test_subsets_labels_and_attributes(tmp_path):
    root = written(tmp_path, validation=[item("c", 1)], train=[item("s/a", 1, patient_id=7), item("b", subject="p")])
    manifest = load(root)
    assert manifest.table["sample_id"].tolist() == ["s/a", "b", "c"]
    assert manifest.table["split"].tolist() == ["train", "train", "val"]
    assert manifest.classes == ("well", "ill", "rare"), "in the order of the categories, also without a scan"
    assert manifest.codes().tolist() == [1, -1, 1]
    assert manifest.table["patient_id"].fillna("-").tolist() == ["7", "-", "-"]
    assert manifest.table["path"].tolist()[0] == "images/train/s/a.png"
    assert [int(manifest.source.read(row)[0, 0]) for row in range(3)] == [1, 2, 0]
    renamed = load(root, columns={"patient_id": "subject"})
    assert renamed.table["patient_id"].fillna("-").tolist() == ["-", "p", "-"]


def test_one_file_and_subsets_that_are_no_splits(tmp_path):
    root = written(tmp_path, default=[item("a", 0), item("b", 1)], other=[item("a", 2)])
    whole = load(root)
    assert whole.table["sample_id"].tolist() == ["default/a", "default/b", "other/a"], "ids repeat across subsets"
    assert set(whole.table["split"]) == {"train"}, "made here: one patient of each class"
    part = load(root / "annotations" / "default.json", classes=["ill", "well"])
    assert part.table["sample_id"].tolist() == ["a", "b"]
    assert part.classes == ("ill", "well")
    with pytest.raises(UserError, match="the label 'rare' is not one of data.classes"):
        load(root / "annotations" / "other.json", classes=["ill", "well"])


def test_images_elsewhere(tmp_path):
    root = written(tmp_path / "set", train=[item("a", 0, path="sub/a.png")])
    (root / "images" / "train").rename(tmp_path / "scans")
    with pytest.raises(UserError, match=r"none of its files exists .*data.root="):
        load(root)
    assert load(root, root=str(tmp_path / "scans")).table["path"].tolist() == ["sub/a.png"]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([item("a", 0, 1)], r"'a' has several labels \(ill, well\)"),
        ([item("a", 9)], "an item does not fit Datumaro's JSON .IndexError"),
        ([item("a", -1)], "label_id -1 is no class"),
        ([{"annotations": []}], "an item does not fit Datumaro's JSON .KeyError: 'id'"),
        (["a"], "an item does not fit"),
        ([], "holds no items"),
        ([item("a", 0, path="../../../etc/passwd")], "leads out of the data's folder"),
    ],
)
def test_wrong_items_are_refused(tmp_path, items, message):
    root = written(tmp_path / "x" / "set", train=[item("z")])
    content = {"categories": {"label": {"labels": LABELS}}, "items": items}
    (root / "annotations" / "train.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        load(root)


def test_other_folders_and_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no annotations/\*.json"):
        load(tmp_path)
    (tmp_path / "a.json").write_text('{"items": []}')
    with pytest.raises(UserError, match="names no categories"):
        load(tmp_path / "a.json")
