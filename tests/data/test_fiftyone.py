import json

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError


def written(root, labels, names, **content):
    for number, name in enumerate(names):
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(root / "data" / name)
    (root / "labels.json").write_text(json.dumps({**content, "labels": labels}), encoding="utf-8")
    return root


def load(path, **options):
    return load_manifest(data_settings("fiftyone", path=str(path), **options))


def test_names_without_endings_and_codes(tmp_path):
    root = written(tmp_path, {"b": 1, "sub/a.1": 0, "c": None}, ["sub/a.1.jpg", "b.png", "c.png", "more.png"],
                   classes=["well", "ill", "rare"])  # fmt: skip
    manifest = load(root)
    assert manifest.table["sample_id"].tolist() == ["b.png", "sub/a.1.jpg", "c.png"]
    assert manifest.classes == ("well", "ill", "rare")
    assert manifest.codes().tolist() == [1, 0, -1]
    assert manifest.source.read(0)[0, 0] == 1
    assert load(root / "labels.json").table["path"].tolist() == manifest.table["path"].tolist()
    (root / "data").rename(tmp_path / "scans")
    assert load(root, root=str(tmp_path / "scans")).table["path"].tolist()[0] == "b.png"


def test_names_of_classes_lists_and_attributes(tmp_path):
    """The three richer forms of the format; FiftyOne's own attributes may carry ours."""
    known = {"sample_id": "id 1", "patient_id": "p", "split": "test"}
    labels = {
        "a": {"label": "ill", "confidence": 0.9, "attributes": {**known, "score": 0.5}},
        "b": [{"label": "well", "attributes": {"sample_id": "id 2", "split": "train"}}],
        "c": None,
    }
    root = written(tmp_path, labels, ["a.png", "b.png", "c.png"], samples={"c": {"split": "val"}})
    manifest = load(root)
    assert manifest.table["sample_id"].tolist() == ["id 1", "id 2", "c.png"]
    assert manifest.table["label"].fillna("-").tolist() == ["ill", "well", "-"]
    assert manifest.table["patient_id"].fillna("-").tolist() == ["p", "-", "-"]
    assert manifest.table["split"].tolist() == ["test", "train", "val"]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ({"a": [0, 1]}, ["x", "y"], "a has several labels"),
        ({"a": 2}, ["x", "y"], r"the label 2 of a is not one of its classes \(x, y\)"),
        ({"a": "z"}, ["x", "y"], "the label 'z' of a is not"),
        ({"a": 0}, [], r"the label 0 of a is not one of its classes \(none\)"),
        ({"a": True}, ["x", "y"], "the label True"),
        ({"../b": 0}, ["x"], "leads out of the data's folder"),
        ({"q": 0}, ["x"], "none of its files exists"),
        ({"two": 0}, ["x"], "two may be two.jpg or two.png; rename one"),
        ({}, ["x"], "holds no labels"),
        ([], ["x"], "holds no labels"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, labels, classes, message):
    with pytest.raises(UserError, match=message):
        load(written(tmp_path, labels, ["a.png", "two.png", "two.jpg"], classes=classes))


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no labels.json; give a FiftyOneImageClassificationDataset"):
        load(tmp_path)
