import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from planted import textures, write_set

from ssl_robust.cli import run

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def folder(tmp_path):
    """60 files of two classes: one copied into the other class, one blank, one cut short, one class saved as JPEG."""
    scans = tmp_path / "scans"
    for name in ("ill", EVIL.replace("/", "")):
        (scans / name).mkdir(parents=True)
    images = textures(60)
    images[45] = images[5]
    images[7] = 12
    for row, image in enumerate(images):
        Image.fromarray(image).save(scans / ("ill" if row < 30 else EVIL.replace("/", "")) / f"p{row // 2}_{row}.png")
    broken = scans / "ill" / "p0_0.png"
    broken.write_bytes(broken.read_bytes()[:100])
    return scans


def start(folder, tmp_path, *options, out="run"):
    place = [f"data.path='{folder}'", f"out='{tmp_path / out}'"]
    return run(["check", "data=folder", "data.patient_pattern='p([0-9]+)_'", "data.ids=plain", *place, *options])


def read(out):
    return json.loads((out / "check.json").read_text(encoding="utf-8"))


def test_what_was_planted_is_told_in_order(folder, tmp_path, capsys):
    assert start(folder, tmp_path) == 0
    out, shown = tmp_path / "run", capsys.readouterr().out
    summary = read(out)
    told = [(each["severity"], each["about"]) for each in summary["findings"]]
    assert told[:2] == [("problem", "files"), ("problem", "duplicates")]
    assert [each[0] for each in told] == sorted((each[0] for each in told), key=["problem", "look", "fine"].index)
    texts = [each["text"] for each in summary["findings"]]
    assert "1 scan of 60 cannot be read, more than data.max_unreadable=0.01, so that other stages stop" in texts[0]
    assert "under two labels: 1 group, 2 scans" in texts[1]
    assert all(text in shown for text in texts)
    assert summary["unreadable"][0]["sample_id"] == "ill/p0_0.png"
    assert [each["sample_id"] for each in summary["shown"]["blank"]] == ["ill/p3_7.png"]
    with (out / "check.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["sample_id"]: row for row in csv.DictReader(file)}
    assert len(rows) == 59
    assert rows["ill/p2_5.png"]["same_picture"] == "1"
    assert rows["ill/p2_5.png"]["differ_in"].startswith("labels")
    assert rows["ill/p3_7.png"]["blank"] == "True"
    assert rows["ill/p3_6.png"]["same_picture"] == ""
    assert (rows["ill/p3_6.png"]["height"], rows["ill/p3_6.png"]["format"]) == ("64.0", "PNG")


def test_files_that_hold_no_picture_are_told_apart(folder, tmp_path):
    shutil.copy(Path(pydicom.__file__).parent / "data" / "test_files" / "rtplan.dcm", folder / "ill" / "plan.dcm")
    assert start(folder, tmp_path) == 0
    summary = read(tmp_path / "run")
    assert summary["passed_over"] == {"RT Plan": 1}
    assert [each["sample_id"] for each in summary["unreadable"]] == ["ill/p0_0.png"]
    texts = [each["text"] for each in summary["findings"] if each["severity"] == "fine"]
    assert "files that hold no picture are passed over by every stage: 1 RT Plan" in texts


def test_nothing_of_this_machine_and_no_tag_of_a_name_reaches_a_page(folder, tmp_path):
    assert start(folder, tmp_path) == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/png") == 3  # two copies and the blank one
    for name in ("report.html", "check.json", "check.csv"):
        assert str(tmp_path) not in (tmp_path / "run" / name).read_text(encoding="utf-8")


def test_hashed_ids_hide_names_and_patients(folder, tmp_path):
    assert start(folder, tmp_path, "data.ids=hashed") == 0
    for name in ("report.html", "check.json", "check.csv"):
        text = (tmp_path / "run" / name).read_text(encoding="utf-8")
        assert ".png" not in text
        assert "p2_5" not in text


def test_strict_is_an_error_with_a_report(folder, tmp_path, capsys):
    assert start(folder, tmp_path, "strict=true") == 2
    shown = capsys.readouterr()
    assert "2 problems in the data, and strict=true takes them for an error" in shown.err
    assert (tmp_path / "run" / "report.html").is_file()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"]
    assert start(folder, tmp_path, "strict=true", "resume=true") == 2
    assert "finished already" in capsys.readouterr().out


def test_no_pictures(folder, tmp_path):
    assert start(folder, tmp_path, "n_shown=0") == 0
    assert "<img" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "run" / "thumbnails.npz").exists()
    assert read(tmp_path / "run")["duplicates"]["labels"] == 1


def test_strict_lets_a_clean_set_pass(tmp_path):
    labels = np.tile([0, 1], 30)
    splits = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    data = write_set(tmp_path, textures(60), labels, patients=np.arange(60), splits=splits)
    place = [f"data.path='{data['path']}'", f"data.index='{data['index']}'", f"out='{tmp_path / 'run'}'"]
    assert run(["check", "data=npz", *place, "strict=true"]) == 0
    summary = read(tmp_path / "run")
    assert summary["n_findings"] == {"problem": 0, "look": 0, "fine": 4}
    assert "0 problems, 0 things to look at" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_patients_in_several_splits_are_told_rather_than_refused(tmp_path):
    patients = [*range(19), 3]
    data = write_set(
        tmp_path, textures(20), np.tile([0, 1], 10), patients=patients, splits=["train"] * 15 + ["test"] * 5
    )
    place = [f"data.path='{data['path']}'", f"data.index='{data['index']}'", f"out='{tmp_path / 'run'}'"]
    assert run(["check", "data=npz", *place]) == 0
    (problem,) = [each for each in read(tmp_path / "run")["findings"] if each["severity"] == "problem"]
    assert problem["text"].startswith("1 patient of 19 with scans in more than one split")


@pytest.mark.parametrize("labels", [None, [0]])
def test_a_set_of_one_scan(labels, tmp_path):
    path = write_set(tmp_path, textures(1), labels)["path"]
    assert run(["check", "data=npz", f"data.path='{path}'", f"out='{tmp_path / 'run'}'"]) == 0
    summary = read(tmp_path / "run")
    assert summary["n"] == 1
    assert summary["shortcuts"] == []
    assert summary["n_findings"]["problem"] == 0


def test_the_same_set_gives_the_same_findings(folder, tmp_path):
    assert start(folder, tmp_path, out="a") == start(folder, tmp_path, out="b") == 0
    first, second = read(tmp_path / "a"), read(tmp_path / "b")
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["duplicates.gapp=1"], "did you mean duplicates.gap"),
        (["strict=yes"], "true or false"),
        (["n_shown=-1"], "n_shown=-1 does not fit"),
        (["blank=2"], "blank=2 does not fit; expected a share"),
        (["shortcuts.level=1"], "shortcuts.level=1 does not fit"),
        (["shortcuts.folds=1"], "shortcuts.folds=1 does not fit"),
        (["duplicates.gap=-1"], "duplicates.gap=-1 is negative"),
    ],
)
def test_options_that_do_not_fit(options, sentence, tmp_path, capsys):
    assert run(["check", "data=phantoms", f"out='{tmp_path / 'run'}'", *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_data_that_are_no_scans(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(["check", "data=folder", f"data.path='{tmp_path / 'empty'}'", f"out='{tmp_path / 'run'}'"]) == 2
    assert "holds no image" in capsys.readouterr().err
    np.save(tmp_path / "E.npy", np.zeros((3, 2)))
    assert run(["check", "data=embeddings", f"data.path='{tmp_path / 'E.npy'}'", f"out='{tmp_path / 'run'}'"]) == 2
    assert "give the scans here" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow  # a process of its own
def test_torch_is_not_needed(tmp_path):
    path = write_set(tmp_path, textures(12), np.tile([0, 1], 6))["path"]
    code = (
        "import sys; from ssl_robust.cli import run; "
        f"print(run(['check', 'data=npz', 'data.path={path}', 'out={tmp_path / 'run'}']), 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "0 False"
