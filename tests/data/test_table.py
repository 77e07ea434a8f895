import numpy as np
import pytest
from PIL import Image

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.run import UserError


def written(folder, text, n=4, encoding="utf-8"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / f"{number}.png")
    (folder / "scans.csv").write_text(text, encoding=encoding)
    return folder / "scans.csv"


def load(path, **options):
    return load_manifest(data_settings("csv", path=str(path), **options))


FULL = (
    "path,label,patient_id,split,true_label\n0.png,x,p,train,x\n./1.png,y,p,train,x\n2.png,,q,Val,\n3.png,NA,q,val,x\n"
)


def test_all_columns_are_taken(tmp_path):
    manifest = load(written(tmp_path, FULL))
    assert manifest.table["sample_id"].tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert manifest.classes == ("x", "y"), "NA is a name that someone may have given to a class, but then says so"
    assert manifest.codes().tolist() == [0, 1, -1, -1]
    assert manifest.codes("true_label").tolist() == [0, 0, -1, 0]
    assert manifest.groups().tolist() == [0, 0, 1, 1]
    assert manifest.table["split"].tolist() == ["train", "train", "val", "val"]
    assert manifest.source.read(2)[0, 0] == 2


def test_columns_are_renamed(tmp_path):
    path = written(tmp_path, "image,id,diagnosis\n0.png,00,x\n1.png,01,y\n")
    manifest = load(path, columns={"path": "image", "sample_id": "id", "label": "diagnosis"})
    assert manifest.table["sample_id"].tolist() == ["00", "01"]
    assert manifest.table["path"].tolist() == ["0.png", "1.png"]
    assert manifest.classes == ("x", "y")


def test_a_default_column_may_be_absent_a_named_one_may_not(tmp_path):
    path = written(tmp_path, "path,diagnosis\n0.png,x\n1.png,y\n")
    assert load(path).classes == ()
    with pytest.raises(UserError, match=r"no column 'diagnose' .is it 'diagnosis'.*its columns are path, diagnosis"):
        load(path, columns={"label": "diagnose"})
    with pytest.raises(UserError, match=r"no column 'path'.*its columns are image"):
        load(written(tmp_path / "b", "image\n0.png\n"))


@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-8"), (",", "utf-8-sig")])
def test_other_dialects(tmp_path, separator, encoding):
    path = written(tmp_path, f"path{separator}label\n0.png{separator}gut\n1.png{separator}böse\n", encoding=encoding)
    assert load(path).classes == ("böse", "gut")


def test_paths_start_from_the_csv_the_root_or_are_absolute(tmp_path):
    written(tmp_path / "images", "")
    (tmp_path / "t.csv").write_text("path\n0.png\n1.png\n")
    manifest = load(tmp_path / "t.csv", root=str(tmp_path / "images"))
    assert manifest.source.read(1)[0, 0] == 1
    (tmp_path / "t.csv").write_text("path\n" + "".join(f"{tmp_path}/images/{i}.png\n" for i in range(2)))
    assert load(tmp_path / "t.csv").table["path"].tolist() == ["images/0.png", "images/1.png"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/t.csv").write_text((tmp_path / "t.csv").read_text())
    assert load(tmp_path / "other/t.csv").table["path"].tolist() == ["0.png", "1.png"], "no path of the machine"


def test_windows_paths_are_understood(tmp_path):
    written(tmp_path / "sub", "")
    (tmp_path / "t.csv").write_text("path\nsub\\0.png\n")
    assert load(tmp_path / "t.csv").source.read(0)[0, 0] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n0.png,x\n0.png,y\n", "'0.png' occurs 2 times"),
        ("path,label\n0.png,x\n,y\n", "line 3 has an empty path"),
        ("path,label\nq.png,x\nr.png,y\n", "none of its files exists, e.g. .*q.png; .*data.root"),
        ("path,label\n", "holds no scans"),
        ("", "cannot be read as a table"),
        ("path,label\n0.png,x|y\n1.png,x\n", "several labels in one cell"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load(written(tmp_path, text))


def test_another_encoding_is_named(tmp_path):
    with pytest.raises(UserError, match=r"save it as CSV in UTF-8"):
        load(written(tmp_path, "path,label\n0.png,böse\n", encoding="latin-1"))


def test_any_folder_name_works(tmp_path):
    assert len(load(written(tmp_path / "Müller (2024)" / "a,b", "path,label\n0.png,x\n1.png,y\n"))) == 2


def test_words_for_a_missing_label_are_no_classes_unless_named(tmp_path, capsys):
    file = written(tmp_path, "path,label\n0.png,NA\n1.png,sick\n2.png,none\n3.png,NA\n")
    manifest = load(file)
    assert manifest.classes == ("none", "sick")
    assert manifest.codes().tolist() == [-1, 1, 0, -1]
    assert "'NA' in label counts as missing (found 2x)" in capsys.readouterr().err
    assert load(file, classes=["NA", "sick", "none"]).codes().tolist() == [0, 1, 2, 0]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("step", ["../", "x/../../", "..\\", "./../elsewhere/../"])
def test_a_path_that_leads_out_is_refused_until_a_root_holds_it(tmp_path, step):
    written(tmp_path / "secret", "")
    path = written(tmp_path / "set", f"path\n0.png\n{step}secret/1.png\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "set" / "x").mkdir()
    with pytest.raises(UserError, match=rf"leads out of .*set; name a folder .* e\.g\. data\.root={tmp_path}$"):
        load(path)
    manifest = load(path, root=str(tmp_path))
    assert [manifest.source.read(row)[0, 0] for row in (0, 1)] == [0, 1]
    assert manifest.table["path"].tolist() == ["set/0.png", "secret/1.png"]
    with pytest.raises(UserError, match="leads out of"):
        load(path, root=str(tmp_path / "set"))


def test_a_path_that_comes_back_stays(tmp_path):
    assert load(written(tmp_path, "path\nx/../0.png\n./1.png\n")).table["path"].tolist() == ["0.png", "1.png"]


@pytest.mark.parametrize("text", ["../../../../../../etc/passwd", "../" * 60 + "etc/passwd"])
def test_files_of_the_machine_are_not_reached_by_steps_up(tmp_path, text):
    with pytest.raises(UserError, match=r"leads out of"):
        load(written(tmp_path, f"path\n{text}\n"))


def test_a_drive_of_windows_is_a_name_like_others_elsewhere(tmp_path):
    manifest = load(written(tmp_path, "path\n0.png\nC:\\Users\\Smith\\1.png\n"))
    assert manifest.table["path"].iloc[0] == "0.png"
    with pytest.raises(OSError, match="No such file"):
        manifest.source.read(1)


def test_absolute_paths_are_read_and_never_shown(tmp_path):
    """They say plainly what they read, and tables of hospitals hold them."""
    written(tmp_path / "archive" / "Smith", "")
    lines = "".join(f"{tmp_path}/archive/Smith/{i}.png,{'ab'[i % 2]}\n" for i in range(4))
    manifest = load(written(tmp_path / "mine", f"path,label\n{lines}", n=0))
    assert manifest.source.read(2)[0, 0] == 2
    assert str(tmp_path) not in manifest.table.to_csv()
