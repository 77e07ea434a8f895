import numpy as np
from PIL import Image

from ssl_robust.data.manifest import data_settings
from ssl_robust.data.scanset import open_scans


def said(root, names, capsys, color=(9, 5, 0)):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), color, np.uint8)).save(root / name)
    options = {"channels": 3, "image_size": 8, "patient_pattern": "p[0-9]", "ids": "plain"}
    scans = open_scans(data_settings("folder", path=str(root), **options))
    capsys.readouterr()  # how fast they were decoded
    scans.say_found()
    return capsys.readouterr().out


def test_one_line_says_what_was_found(tmp_path, capsys):
    names = ["train/x/p1_1.png", "train/x/p1_2.png", "val/y/p2_1.png", "test/p3.png"]
    assert said(tmp_path, names, capsys) == (
        "Found 4 scans, RGB, 8 px, 2 classes (x 2, y 1), 1 without a label, 3 patients known; train 2, val 1, test 1\n"
    )


def test_grey_scans_are_not_called_colourful(tmp_path, capsys):
    assert said(tmp_path, ["x/p1.png", "y/p2.png"], capsys, color=5).startswith(
        "Found 2 scans, grey in three channels, 8 px"
    )


def test_readers_have_a_line_of_their_own(tmp_path, capsys):
    for name in "012":
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "t.csv").write_text("path,A,B\n0.png,x,x\n1.png,y,y\n2.png,x,y\n")
    options = {"path": str(tmp_path / "t.csv"), "columns": {"label": ["A", "B"]}, "channels": 1, "image_size": 8}
    scans = open_scans(data_settings("csv", **options))
    capsys.readouterr()
    scans.say_found()
    assert capsys.readouterr().out.splitlines()[1] == (
        "2 readers (A, B) gave labels to 3 scans, 3 of which two or more saw: all agree on 66.7%, Cohen's kappa 0.40, "
        "1 without a label as their readers tie"
    )


def test_many_classes_are_counted_only(tmp_path, capsys):
    assert ", 11 classes, 1 patients known; " in said(tmp_path, [f"c{n}/p1_{n}.png" for n in range(11)], capsys)
