"""The command: its sentences, what it replaces, and what goes along from an audit."""

import json
import xml.etree.ElementTree as ET
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from ssl_robust.cli import run
from ssl_robust.data.columns import read_table
from ssl_robust.data.written import write_table
from ssl_robust.run import write_json


@pytest.fixture
def audit(tmp_path):
    """What an audit leaves, written by hand."""
    ids = ["first", "=2nd()", "b/2.png", "4th"]
    rows = {"sample_id": ids, "label": ["ill", "well", None, "ill"], "suggested_label": ["ill", "well", None, "well"],
            "score": [0.25, 0.125, None, 0.75], "rank": pd.array([2, 3, None, 1], dtype="Int64")}  # fmt: skip
    write_json(tmp_path / "audit" / "run.json", {"schema_version": 1, "stage": "audit"})
    write_table(tmp_path / "audit" / "audit.csv", pd.DataFrame(rows))
    return tmp_path / "audit"


@pytest.fixture
def larger_audit(tmp_path):
    """A real one: of 44 vectors whose ids are those of the table's four scans and forty more."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "E.npy", rng.normal(size=(44, 4)) + 5 * np.eye(4)[[0, 1, 1, 1, *[0, 1] * 20]])
    ids = ["first", "=2nd()", "b/2.png", "4th", *map(str, range(40))]
    labels = pd.DataFrame({"sample_id": ids, "label": ["ill", "well", None, "ill", *["ill", "well"] * 20]})
    labels.to_csv(tmp_path / "L.csv", index=False)
    out = tmp_path / "audit"
    options = [f"data.path={tmp_path / 'E.npy'}", f"data.labels={tmp_path / 'L.csv'}", "neighbors.k=3"]
    assert run(["audit", "data=embeddings", *options, f"out={out}"]) == 0
    return out


def test_label_studio_gets_an_audit_as_predictions_worst_first(convert, larger_audit, tmp_path, capsys):
    assert convert("labelstudio", f"audit={larger_audit}") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"Wrote {tmp_path / 'out'}"
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={tmp_path}, make a project" in said[-3]
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text(encoding="utf-8"))
    table = read_table(larger_audit / "audit.csv").set_index("sample_id")
    order = table.loc[["first", "=2nd()", "4th"], "rank"].astype(int).sort_values().index.tolist()
    assert [task["data"]["sample_id"] for task in tasks] == [*order, "b/2.png"], "by rank; the unlabelled scan last"
    suspect = tasks[0]
    assert suspect["data"]["sample_id"] == "4th", "its vector is a well one, its label ill"
    assert suspect["annotations"][0]["result"][0]["value"] == {"choices": ["ill"]}
    assert suspect["predictions"][0]["score"] == pytest.approx(float(table.loc["4th", "score"]))
    assert suspect["predictions"][0]["result"] == [
        {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["well"]}}
    ]
    assert parse_qs(urlsplit(suspect["data"]["image"]).query)["d"] == ["my scans/c d+é.png"]
    assert not {"annotations", "predictions"} & set(tasks[-1])
    assert "true_label" not in json.dumps(tasks), "who is to judge a scan must not see it"
    view = ET.fromstring((tmp_path / "out" / "config.xml").read_text(encoding="utf-8"))
    assert [each.get("value") for each in view.iter("Choice")] == ["ill", "rare", "well"]
    control = view.find("Choices")
    assert control is not None
    assert (control.get("name"), control.get("toName"), view.find("Image").get("name")) == ("label", "image", "image")


def test_an_audit_goes_along_as_columns_and_attributes(convert, audit, tmp_path):
    table = read_table(audit / "audit.csv").set_index("sample_id")
    for to in ("csv", "folder", "datumaro", "fiftyone"):
        assert convert(to, f"audit={audit}", out=to) == 0
    for to in ("csv", "folder"):
        found = read_table(tmp_path / to / "labels.csv").set_index("sample_id")
        assert (
            found["suggested_label"].fillna("-").tolist()
            == table.loc[found.index, "suggested_label"].fillna("-").tolist()
        )
        assert found.loc["4th", "rank"] == table.loc["4th", "rank"]
    item = json.loads((tmp_path / "datumaro/annotations/test.json").read_text())["items"][0]
    assert item["attr"] == {"true_label": "rare", "suggested_label": "well", "rank": int(table.loc["4th", "rank"]),
                            "score": pytest.approx(float(table.loc["4th", "score"]))}  # fmt: skip
    label = json.loads((tmp_path / "fiftyone/labels.json").read_text())["labels"]["c d+é"]
    assert label["attributes"]["suggested_label"] == "well"


def test_wrong_audits_are_refused_before_the_data_are_read(convert, audit, tmp_path, capsys):
    assert convert("csv", f"audit={tmp_path}") == 2
    assert "holds no run" in capsys.readouterr().err
    table = read_table(audit / "audit.csv").assign(sample_id=[f"other {row}" for row in range(4)])
    table.to_csv(audit / "audit.csv", index=False)
    assert convert("csv", f"audit={audit}") == 2
    assert "audit= is of other scans (e.g. 'other 0' where these data have 'first')" in capsys.readouterr().err
    (audit / "audit.csv").unlink()
    assert convert("csv", f"audit={audit}") == 2
    assert "is unfinished" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_is_kept_unless_it_may_be_replaced(convert, tmp_path, capsys):
    assert convert("csv") == 0
    assert "patients and file names go along as they are; data.ids=hashed hides them" in capsys.readouterr().err
    assert convert("datumaro") == 2
    assert "holds a conversion already; choose another out=, or add overwrite=true" in capsys.readouterr().err
    assert convert("datumaro", "overwrite=true") == 0
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [".ssl-robust-converted", "annotations"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["my scans", "out"], "nothing is left beside it"
    assert convert("csv", "overwrite=true", out="my scans") == 2
    assert "holds other files and no conversion; give an empty or new folder" in capsys.readouterr().err


def test_what_is_read_is_not_replaced(convert, tmp_path, capsys):
    assert convert("datumaro", "to.files=copy") == 0
    path = f"data.path={tmp_path / 'out'}"
    assert convert("csv", "overwrite=true", data=("data=datumaro", path)) == 2
    assert "which is read; choose another out=" in capsys.readouterr().err
    assert convert("csv", out="other", data=("data=datumaro", path)) == 0


@pytest.mark.parametrize(
    ("to", "options", "sentence"),
    [
        ("labelstudoi", [], "to=labelstudoi does not exist, did you mean labelstudio; choose one of cleanlab"),
        ("csv", ["to.prefix=x"], "convert has no option to.prefix"),
        ("csv", ["to.file=copy"], "convert has no option to.file, did you mean to.files"),
        ("csv", ["resume=true"], "nothing to resume; take resume= away"),
        ("csv", ["to.files=cpy"], "choose one of auto, refer, copy, link, png"),
        ("cleanlab", ["to.probabilities=nowhere"], "to.probabilities=nowhere does not exist"),
    ],
)
def test_one_sentence_says_what_does_not_fit(convert, tmp_path, capsys, to, options, sentence):
    assert convert(to, *options) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert sorted(each.name for each in tmp_path.iterdir()) == ["my scans"], "nothing half-written"


def test_the_format_must_be_named(table, capsys):
    assert run(["convert", "data=csv", f"data.path={table}"]) == 2
    assert "to= is missing; choose one of cleanlab, csv, cvat, datumaro" in capsys.readouterr().err


def test_where_nothing_can_be_written_is_said(convert, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert convert("csv", out="file") == 2
    assert "is a file; give a folder" in capsys.readouterr().err
    assert convert("csv", out="file/below") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_classes_that_are_no_folders_and_files_without_endings(table, convert, capsys):
    rows = pd.read_csv(table).assign(label="a/b")
    rows.to_csv(table, index=False)
    assert convert("folder") == 2
    assert "the class 'a/b' cannot be the name of a folder" in capsys.readouterr().err
    (table.parent / "b/1.jpg").rename(table.parent / "b/2.jpg")
    rows.replace({"path": {"b/1.jpg": "b/2.jpg"}}).to_csv(table, index=False)
    assert convert("fiftyone") == 2
    assert "several files are called b/2 but for their endings" in capsys.readouterr().err
    assert convert("fiftyone", "to.files=copy") == 0


def test_a_prefix_of_the_document_root(convert, tmp_path):
    assert convert("labelstudio", "to.prefix=sets/x (1)/") == 0
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text(encoding="utf-8"))
    assert tasks[0]["data"]["image"] == "/data/local-files/?d=sets/x%20%281%29/a/1.png"
