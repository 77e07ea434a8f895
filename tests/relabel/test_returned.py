import csv
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from answering import said
from campaigns import make_audit, make_campaign
from omegaconf import OmegaConf
from PIL import Image

from ssl_robust.data.manifest import data_settings
from ssl_robust.exchange.stage import convert
from ssl_robust.files import UserError
from ssl_robust.relabel.answers import standing
from ssl_robust.relabel.returned import command
from ssl_robust.settings import defaults

NAMES = ["=cmd(), it's", "b", "c", "d"]
ANSWERS = {0: "malignant", 1: "benign", 3: "unsure"}  # of the rows of the queue; 2 is not answered


@pytest.fixture
def data(tmp_path):
    for number, name in enumerate(NAMES):
        place = tmp_path / "scans" / ("malignant" if number % 2 else "benign")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 60 * number, np.uint8)).save(place / f"{name}.png")
    return data_settings("folder", path=str(tmp_path / "scans"))


def campaign_of(tmp_path, data, **options):
    ids = make_audit(tmp_path / "audit", data)["sample_id"].tolist()
    asked = [ids[2], ids[0], ids[3], ids[1]]
    return make_campaign(tmp_path / "review", tmp_path / "audit", ids=[*asked, ids[2]], **options), asked


def sent(to, data, out, queue, **options):
    config = {"data": data, "to": {**defaults("to", "_files"), **defaults("to", to)}, "out": str(out), "audit": None,
              "queue": str(queue), "first": None, "resume": False, "overwrite": False}  # fmt: skip
    return convert(OmegaConf.create({**config, **options}))


def in_labelstudio(out, answers):
    tasks = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    assert not any("annotations" in task for task in tasks), "nobody has answered yet"
    for row, answer in answers.items():
        result = [{"type": "choices", "from_name": "label", "to_name": "image", "value": {"choices": [answer]}}]
        tasks[row]["annotations"] = [{"completed_by": 7, "result": result}]
    (out / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    return out / "export.json", "annotator 7"


def in_cvat(out, answers):
    tree = ET.parse(out / "annotations.xml")
    images = list(tree.iter("image"))
    assert [image.get("name") for image in images] == sorted(image.get("name") for image in images), "order of asking"
    assert not list(tree.iter("tag"))
    for row, answer in answers.items():
        ET.SubElement(images[row], "tag", label=answer, source="manual")
    tree.write(out / "export.xml")
    return out / "export.xml", "cvat"


def in_fiftyone(out, answers):
    content = json.loads((out / "labels.json").read_text(encoding="utf-8"))
    keys, codes = list(content["labels"]), content["classes"]
    assert not any(content["labels"].values())
    labels = {key: codes.index(answers[row]) if row in answers else None for row, key in enumerate(keys)}
    exported = {"classes": codes, "labels": {f"some/where/{key}": label for key, label in labels.items()}}
    (out / "labels.json").write_text(json.dumps(exported), encoding="utf-8")
    return out, "fiftyone"


def in_csv(out, answers):
    with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert not any(row["answer"] for row in rows)
    for row, answer in answers.items():
        rows[row]["answer"] = answer
    with (out / "filled.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return out / "filled.csv", "csv"


PROGRAMS = {"labelstudio": in_labelstudio, "cvat": in_cvat, "fiftyone": in_fiftyone, "csv": in_csv}


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_queue_goes_out_and_its_answers_come_back_once(tmp_path, data, capsys, program, blind):
    campaign, asked = campaign_of(tmp_path, data, blind=blind)
    out = sent(program, data, tmp_path / "out", campaign.place)
    file, annotator = PROGRAMS[program](out, ANSWERS)
    words = [f"run={campaign.place}", f"from={program}", f"path={file}"]
    assert command(words) == campaign.place
    found = campaign.ledger().read()
    assert {each.sample_id: each.answer for each in found} == {
        asked[0]: "malignant",
        asked[1]: "benign",
        asked[3]: None,
    }
    assert {each.sample_id: each.given for each in found} == {
        name: name.split("/")[0] for name in (asked[0], asked[1], asked[3])
    }
    assert {(each.annotator, each.shown, each.blind) for each in found} == {(annotator, "imported", blind)}
    command(words)
    assert campaign.ledger().read() == found
    assert "0 answers added, 3 were there already" in capsys.readouterr().out


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_blind_reader_learns_nothing_of_what_was_said_before(tmp_path, data, program):
    campaign, _ = campaign_of(tmp_path, data, blind=True)
    out = sent(program, data, tmp_path / "out", campaign.place)
    files = [file for file in out.rglob("*") if file.is_file()]
    texts = [file.read_text(encoding="utf-8") for file in files if file.suffix in (".json", ".csv", ".xml")]
    assert texts
    for told in ("benign/", "malignant/", "cmd", "score", "suggested", "given", "mislabeled", "control"):
        assert told not in "".join(texts)
        assert told not in "".join(file.name for file in files)


def test_who_is_not_blind_sees_the_label_and_the_suggestion_in_the_order_of_asking(tmp_path, data):
    campaign, asked = campaign_of(tmp_path, data)
    out = sent("labelstudio", data, tmp_path / "out", campaign.place, first=3)
    tasks = [task["data"] for task in json.loads((out / "tasks.json").read_text(encoding="utf-8"))]
    assert [task["sample_id"] for task in tasks] == asked[:3]
    assert [task["rank"] for task in tasks] == [1, 2, 3]
    assert [task["given"] for task in tasks] == [name.split("/")[0] for name in asked[:3]]
    assert {"suggested_label", "p_mislabeled"} <= set(tasks[0])
    view = ET.fromstring((out / "config.xml").read_text(encoding="utf-8"))
    assert [each.get("value") for each in view.iter("Choice")] == ["benign", "malignant", "unsure"]


def filled(path, *rows, columns=("sample_id", "answer")):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def test_an_answer_that_was_changed_there_counts_and_changed_back_does_too(tmp_path, data):
    campaign, asked = campaign_of(tmp_path, data)
    words = [f"run={campaign.place}", "from=csv", f"path={tmp_path / 'a.csv'}", "annotator=Ann"]
    for answer in ("benign", "malignant", "benign", "benign"):
        filled(tmp_path / "a.csv", [asked[0], answer])
        command(words)
        assert [each.answer for each in standing(campaign.ledger().read())] == [answer]
    assert len(campaign.ledger().read()) == 3


def test_an_old_file_does_not_outweigh_what_was_said_since(tmp_path, data):
    campaign, asked = campaign_of(tmp_path, data)
    filled(tmp_path / "a.csv", [asked[0], "benign", "Ann"], columns=("sample_id", "answer", "annotator"))
    words = [f"run={campaign.place}", "from=csv", f"path={tmp_path / 'a.csv'}"]
    command(words)
    campaign.ledger().append(said(asked[0], "malignant", by="Ann"))
    command(words)
    assert [each.answer for each in standing(campaign.ledger().read())] == ["malignant"]


def test_a_name_is_one_however_its_letters_are_composed(tmp_path, data, capsys):
    campaign, asked = campaign_of(tmp_path, data)
    rows = [[asked[0], "benign", "Bjo\u0308rk"], [asked[1], "benign", " Bj\u00f6rk"]]
    table = filled(tmp_path / "a.csv", *rows, columns=("sample_id", "answer", "annotator"))
    words = [f"run={campaign.place}", "from=csv", f"path={table}"]
    command(words)
    command([*words, "annotator=Bjo\u0308rk"])
    assert [each.annotator for each in campaign.ledger().read()] == ["Bj\u00f6rk"] * 2
    for wrong in ("annotator=" + "a" * 81, "annotator=\x1b[2J"):
        with pytest.raises(UserError, match="is no name; expected 1 to 80 characters.*or give annotator="):
            command([*words, wrong])


def test_what_cannot_be_imported_is_said_and_nothing_is_written(tmp_path, data, capsys):
    campaign, asked = campaign_of(tmp_path, data)
    table = tmp_path / "a.csv"
    words = [f"run={campaign.place}", "from=csv", f"path={table}"]
    for rows, told in (
        ([[asked[0], "benigne"]], "the answer 'benigne', which is none of the classes.*did you mean 'benign'"),
        ([[asked[0], "benign"], [asked[0], "malignant"]], "several answers of 'csv'"),
        ([[asked[0], ""]], "holds no answer"),
        ([["x.png", "benign"]], "is of other scans"),
    ):
        filled(table, *rows)
        with pytest.raises(UserError, match=told):
            command(words)
    filled(table, [asked[0], "benign"], columns=("sample_id", "verdict"))
    with pytest.raises(UserError, match="has no column 'answer'"):
        command(words)
    two = [[asked[0], "benign", "Ann"], [asked[1], "benign", "Ben"]]
    filled(table, *two, columns=("sample_id", "answer", "annotator"))
    with pytest.raises(UserError, match="annotator=Cleo is one, and the answers are of 2 people"):
        command([*words, "annotator=Cleo"])
    for wrong, told in (("from=labelstudoi", "did you mean labelstudio"), ("path=b.csv", "path=b.csv does not exist")):
        with pytest.raises(UserError, match=told):
            command([*words, wrong])
    assert campaign.ledger().read() == []
    filled(table, ["x.png", "benign"], [asked[0], "benign"])
    command(words)
    assert "1 answers are to scans that the campaign does not have (e.g. 'x.png')" in capsys.readouterr().err
    assert command(["help"]) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><annotations/>", "defines entities"),
        ("<annotations>", "is not what CVAT exports"),
        ("<annotations><image name='1'><tag label='a'/><tag label='b'/></image></annotations>", "has several tags"),
    ],
)
def test_a_strange_file_of_cvat_is_refused(tmp_path, data, text, told):
    campaign, _ = campaign_of(tmp_path, data)
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=told):
        command([f"run={campaign.place}", "from=cvat", f"path={tmp_path / 'a.xml'}"])


def test_a_queue_of_other_scans_is_refused(tmp_path, data):
    campaign, _ = campaign_of(tmp_path, data)
    phantoms = data_settings("phantoms", n_patients=4, size=32)
    with pytest.raises(UserError, match="which these data do not have; give the data that were audited"):
        sent("csv", phantoms, tmp_path / "out", campaign.place)
    with pytest.raises(UserError, match="take audit= away"):
        sent("csv", data, tmp_path / "out", campaign.place, audit="runs/audit")
    with pytest.raises(UserError, match="stage audit, expected relabel"):
        sent("csv", data, tmp_path / "out", tmp_path / "audit")
