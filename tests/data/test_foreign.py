import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.foreign import files_below, read_foreign_json
from ssl_robust.run import UserError


@pytest.fixture
def root(tmp_path):
    for name in ("scans/a/1.png", "scans/2.png", "outside.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name)
    return tmp_path / "scans"


@pytest.mark.parametrize(
    "paths",
    [
        ["a/1.png", "./2.png"],
        ["scans/a/1.png", "scans/2.png"],
        ["/home/somebody/set/a/1.png", "/home/somebody/set/2.png"],
        ["C:\\set\\a\\1.png", "C:\\set\\2.png"],
        ["a\\1.png", "b/../2.png"],
    ],
)
def test_paths_of_any_machine_lose_what_the_folder_has_not(root, paths):
    files, names = files_below(root, paths, "tasks.json")
    assert names == ["a/1.png", "2.png"]
    assert files == [root / "a/1.png", root / "2.png"]


def test_a_file_that_is_missing_among_others_stays_in_the_folder(root):
    files, names = files_below(root, ["a/1.png", "gone.png", "/etc/passwd"], "tasks.json")
    assert names == ["a/1.png", "gone.png", "etc/passwd"]
    assert all(file.is_relative_to(root) for file in files)


@pytest.mark.parametrize("path", ["../outside.png", "a/../../outside.png", "..\\outside.png", "..", "", "a\0.png"])
def test_paths_that_lead_out_are_refused(root, path):
    with pytest.raises(UserError, match=r"tasks.json: the path .* leads out of the data's folder"):
        files_below(root, ["2.png", path], "tasks.json")


def test_nothing_there_is_said(root):
    with pytest.raises(UserError, match=r"none of its files exists below .*scans, e.g. x/y.png; .*data.root="):
        files_below(root, ["x/y.png"], "tasks.json")
    with pytest.raises(UserError, match="holds no scans"):
        files_below(root, [], "tasks.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not valid JSON"), ("[]", "holds a list, which is not X"), ("3", "holds a single value")],
)
def test_other_json_is_refused(tmp_path, text, message):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_foreign_json(tmp_path / "f.json", dict, "X")
