"""A task of CVAT, read as its importer reads it: frames by name, tags by label, attributes that the labels declare."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ssl_robust.data.columns import read_table
from ssl_robust.data.written import write_table
from ssl_robust.run import write_json


@pytest.fixture
def audit(tmp_path):
    """What an audit of the four scans leaves: the fourth is the first to look at."""
    rows = {"sample_id": ["first", "=2nd()", "b/2.png", "4th"], "label": ["ill", "well", None, "ill"],
            "suggested_label": ["ill", "well", None, "well"], "score": [0.25, 0.125, None, 0.75],
            "rank": pd.array([2, 3, None, 1], dtype="Int64")}  # fmt: skip
    write_json(tmp_path / "audit" / "run.json", {"schema_version": 1, "stage": "audit"})
    write_table(tmp_path / "audit" / "audit.csv", pd.DataFrame(rows))
    return tmp_path / "audit"


def images_of(out):
    return ET.parse(out / "annotations.xml").getroot().findall("image")


def test_suspects_come_first_in_the_order_of_names(convert, audit, tmp_path, capsys):
    assert convert("cvat", f"audit={audit}") == 0
    out = tmp_path / "out"
    assert "then upload annotations.xml as CVAT 1.1" in capsys.readouterr().out
    images = images_of(out)
    names = [each.get("name") for each in images]
    assert names == sorted(names) == ["images/1.png", "images/2.png", "images/3.jpg", "images/4.png"]
    assert sorted(f"images/{each.name}" for each in (out / "images").iterdir()) == names
    assert [each.get("id") for each in images] == ["0", "1", "2", "3"]
    tags = [[tag.get("label") for tag in each.findall("tag")] for each in images]
    assert tags == [["ill"], ["ill"], ["well"], []]
    shown = {each.get("name"): each.text for each in images[0].find("tag").findall("attribute")}
    assert shown == {"suggested_label": "well", "score": "0.75"}
    for each, name in zip(images, names, strict=True):
        with Image.open(out / name) as image:
            assert (each.get("width"), each.get("height")) == tuple(map(str, image.size)) == ("8", "8")
    # CVAT refuses labels and attributes that the task does not have.
    labels = {each["name"]: each for each in json.loads((out / "labels.json").read_text(encoding="utf-8"))}
    assert list(labels) == ["ill", "rare", "well"]
    assert {each["type"] for each in labels.values()} == {"tag"}
    assert [each["name"] for each in labels["ill"]["attributes"]] == ["suggested_label", "score"]
    meta = ET.parse(out / "annotations.xml").getroot().find("meta/task")
    assert [each.text for each in meta.findall("labels/label/name")] == list(labels)


def test_the_numbers_lead_back_to_the_scans_and_say_nothing_else(convert, audit, table, tmp_path):
    assert convert("cvat", f"audit={audit}") == 0
    out = tmp_path / "out"
    found = read_table(out / "samples.csv").set_index("path")
    assert found["sample_id"].tolist() == ["4th", "first", "=2nd()", "b/2.png"]
    given = pd.read_csv(table).set_index("sample_id")["path"]
    for path, name in found["sample_id"].items():
        assert (out / path).read_bytes() == (table.parent / given[name]).read_bytes()
    assert not {"patient_id", "true_label"} & set(found)
    assert "rare" not in (out / "samples.csv").read_text(), "a true label, which who judges must not see"


def test_only_the_first_suspects(convert, audit, tmp_path):
    assert convert("cvat", f"audit={audit}", "first=2") == 0
    assert read_table(tmp_path / "out" / "samples.csv")["sample_id"].tolist() == ["4th", "first"]
    assert convert("labelstudio", f"audit={audit}", "first=2", out="tasks") == 0
    tasks = json.loads((tmp_path / "tasks" / "tasks.json").read_text(encoding="utf-8"))
    assert [each["data"]["sample_id"] for each in tasks] == ["4th", "first"]
    assert convert("fiftyone", f"audit={audit}", "first=9", out="all") == 0
    assert len(json.loads((tmp_path / "all" / "labels.json").read_text())["labels"]) == 3, "all that have a rank"


def test_without_an_audit_the_order_is_that_of_the_data(convert, tmp_path):
    assert convert("cvat", "to.files=png") == 0
    assert read_table(tmp_path / "out" / "samples.csv")["sample_id"].tolist() == ["first", "=2nd()", "b/2.png", "4th"]
    assert {attribute for each in images_of(tmp_path / "out") for attribute in each.iter("attribute")} == set()


def test_numbers_sort_as_texts_beyond_nine(tmp_path, convert):
    np.savez(tmp_path / "set.npz", train_images=np.zeros((12, 4, 4), np.uint8), train_labels=np.arange(12) % 2)
    assert convert("cvat", data=("data=npz", f"data.path={tmp_path / 'set.npz'}")) == 0
    names = [each.get("name") for each in images_of(tmp_path / "out")]
    assert names == sorted(names)
    assert (names[0], names[-1]) == ("images/01.png", "images/12.png")


@pytest.mark.parametrize("name", ['<evil a="1">&', "ü" * 64, "=cmd('x')", "]]>"])
def test_hostile_names_of_classes(convert, table, tmp_path, name):
    rows = pd.read_csv(table)
    rows["label"] = rows["label"].where(rows["label"] != "ill", name)
    rows.to_csv(table, index=False)
    assert convert("cvat") == 0
    assert [each.find("tag").get("label") for each in images_of(tmp_path / "out")[::3]] == [name, name]


@pytest.mark.parametrize("name", ["x\x1b[2J", "ü" * 65, "a\u202eb"])
def test_names_that_no_label_can_have_are_refused(convert, table, tmp_path, capsys, name):
    pd.read_csv(table).assign(label=name).to_csv(table, index=False)
    assert convert("cvat") == 2
    assert "cannot be a label of CVAT (printable, at most 64 letters)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["to.files=refer"], "to.files=refer does not exist here; choose one of auto, copy, link, png"),
        (["to.prefix=x"], "convert has no option to.prefix"),
        (["first=3"], "first=3 counts in the order of an audit; add audit=RUN"),
    ],
)
def test_one_sentence_says_what_does_not_fit(convert, tmp_path, capsys, options, sentence):
    assert convert("cvat", *options) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_hashed_ids_leave_no_name_behind(convert, table, tmp_path):
    rows = pd.read_csv(table).assign(
        sample_id=["Smith 1", "Smith 2", "Jones", "Doe"], patient_id="Mrs Smith", split="train"
    )
    rows.to_csv(table, index=False)
    assert convert("cvat", "data.ids=hashed") == 0
    texts = [file.read_text(encoding="utf-8") for file in (tmp_path / "out").iterdir() if file.is_file()]
    assert not any(name in text for text in texts for name in ("Smith", "Jones", "Doe", "b/2"))
    assert {len(name) for name in read_table(tmp_path / "out" / "samples.csv")["sample_id"]} == {20}
