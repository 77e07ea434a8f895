import json

import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError


def annotation(choice, who=None, name="label", **more):
    """As Label Studio exports it; a region beside the choice does not matter."""
    region = {"id": "r", "from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": {"x": 1.0}}
    result = {"id": "c", "from_name": name, "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
    return {"id": 1, "completed_by": who, "was_cancelled": False, "result": [region, result], **more}


def task(image, *annotations, **data):
    return {"id": 3, "data": {"image": image, **data}, "annotations": list(annotations), "predictions": []}


def written(root, *tasks):
    for number, name in enumerate(("a.png", "b c+d.png", "upload/1/x.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(root / name)
    (root / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    return root / "export.json"


def load(path, **options):
    return load_manifest(data_settings("labelstudio", path=str(path), **options))


def test_local_files_uploads_and_what_tasks_carry(tmp_path):
    known = {"sample_id": "id 1", "patient_id": "p", "split": "test"}
    file = written(
        tmp_path,
        task("/data/local-files/?d=b%20c%2Bd.png", annotation("ill", 4), **known),
        task("http://localhost:8080/data/upload/1/x.png", annotation("well", 4), split="train"),
        task("a.png", split="train"),
    )
    manifest = load(file)
    assert manifest.table["path"].tolist() == ["b c+d.png", "upload/1/x.png", "a.png"]
    assert manifest.table["sample_id"].tolist() == ["id 1", "upload/1/x.png", "a.png"]
    assert manifest.table["label"].fillna("-").tolist() == ["ill", "well", "-"]
    assert manifest.table["patient_id"].fillna("-").tolist() == ["p", "-", "-"]
    assert manifest.table["split"].tolist() == ["test", "train", "train"]
    assert manifest.source.read(0)[0, 0] == 1


def test_several_annotators_are_several_readers(tmp_path, capsys):
    people = [{"id": 1, "email": "someone@clinic.org"}, 2, 3]
    file = written(
        tmp_path,
        task("a.png", *(annotation(choice, who) for choice, who in zip(["x", "y", "x"], people, strict=True))),
        task("b c+d.png", annotation("x", people[0]), annotation("y", 2), annotation("z", 3, was_cancelled=True)),
        task("upload/1/x.png", annotation("x", 2), annotation("y", 2)),
    )
    manifest = load(file)
    assert manifest.table["label"].fillna("-").tolist() == ["x", "-", "y"], "a tie is no label, the last answer counts"
    assert {name: column.fillna("-").tolist() for name, column in manifest.votes.items()} == {
        "annotator 1": ["x", "x", "-"], "annotator 2": ["y", "y", "y"], "annotator 3": ["x", "-", "-"],
    }  # fmt: skip
    assert load(file, annotator=2).votes is None
    assert capsys.readouterr().err == ""
    assert load(file, annotator=2).table["label"].fillna("-").tolist() == ["y", "y", "y"]
    assert load(file, annotator="1").table["label"].fillna("-").tolist() == ["x", "x", "-"]
    with pytest.raises(UserError, match=r"data.annotator=9 has answered nothing in export.json; choose one of 1, 2, 3"):
        load(file, annotator=9)


def test_ground_truth_is_the_true_label(tmp_path, capsys):
    truth = annotation("y", 1, ground_truth=True)
    file = written(tmp_path, task("a.png", truth, annotation("x", 2)), task("b c+d.png", truth))
    manifest = load(file)
    assert manifest.table["label"].tolist() == ["x", "y"]
    assert manifest.table["true_label"].tolist() == ["y", "y"]
    assert capsys.readouterr().err == ""


def test_dawid_and_skene_weigh_how_each_annotator_errs(tmp_path):
    """Annotators 1 and 2 are right and 3 turns all round, so that two against one may be wrong."""
    rows = ["xxy", "yyx"] * 20 + ["x-y", "-yx"]
    tasks = [
        task(f"{row}.png", *(annotation(choice, who) for who, choice in enumerate(line, start=1) if choice != "-"))
        for row, line in enumerate(rows)
    ]
    file = written(tmp_path, *tasks)
    for row in range(len(rows)):
        (tmp_path / f"{row}.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert load(file).table["label"].tolist()[:40] == ["x", "y"] * 20
    assert load(file).table["label"].isna().tolist()[40:] == [True, True]
    assert load(file, consensus="dawid_skene").table["label"].tolist()[40:] == ["x", "y"]


def test_a_consensus_that_does_not_fit_the_annotators(tmp_path):
    file = written(tmp_path, task("a.png", annotation("x", 1), annotation("y", 2)))
    with pytest.raises(UserError, match="data.consensus=dawid_skene needs three readers or more"):
        load(file, consensus="dawid_skene")
    with pytest.raises(
        UserError, match=r"data.columns.label=\[1,2\] must be one control; the annotators of export.json"
    ):
        load(file, columns={"label": ["1", "2"]})
    with pytest.raises(UserError, match="data.consensus=vote does not exist"):
        load(file, consensus="vote", annotator=1)
    file = written(tmp_path, task("a.png", annotation("x"), annotation("x"), annotation("y")))
    manifest = load(file)
    assert (manifest.table["label"][0], list(manifest.votes)[2]) == ("x", "unnamed annotator 3")
    with pytest.raises(UserError, match=r"export.json does not tell who answered.*take data.consensus=majority"):
        load(file, consensus="dawid_skene")


def test_an_annotator_of_one_class_alone_is_no_misspelling(tmp_path, capsys):
    file = written(tmp_path, task("a.png", annotation("rare", 1)), task("b c+d.png", annotation("x", 2)))
    assert load(file).table["label"].tolist() == ["rare", "x"]
    assert capsys.readouterr().err == ""


def test_other_names_of_fields_and_controls(tmp_path):
    both = annotation("x", 1)
    both["result"] += annotation("sharp", 1, name="quality")["result"]
    each = {**task("ignored", both), "data": {"picture": "a.png"}}
    file = written(tmp_path, each)
    with pytest.raises(UserError, match=r"no column 'image'.*its columns are picture; .*data.columns.path="):
        load(file)
    with pytest.raises(UserError, match=r"choices of label and quality; take one with data.columns.label="):
        load(file, columns={"path": "picture"})
    assert load(file, columns={"path": "picture", "label": "quality"}).classes == ("sharp",)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([{"image": "a.png"}], r"tasks without data; export it as JSON \(not JSON-MIN\)"),
        ([task("https://example.org/a.png")], "lies on a server; expected local files"),
        ([task("s3://bucket/a.png")], "lies on a server"),
        ([task("/data/local-files/?d=../a.png")], "leads out of the data's folder"),
        ([task("/data/local-files/?d=%2e%2e/a.png")], "leads out of the data's folder"),
        ([task(None)], "the column 'image' is empty"),
        ([task("a.png", {"result": ["x"]})], "an annotation does not fit"),
        ([task("a.png", annotation("x")), task("a.png")], "'a.png' occurs 2 times"),
    ],
)
def test_wrong_tasks_are_refused(tmp_path, tasks, message):
    with pytest.raises(UserError, match=message):
        load(written(tmp_path / "scans", *tasks))


def test_several_choices_at_once_are_refused(tmp_path):
    several = annotation("x")
    several["result"][1]["value"]["choices"] = ["x", "y"]
    with pytest.raises(UserError, match="several choices at once"):
        load(written(tmp_path, task("a.png", several)))
