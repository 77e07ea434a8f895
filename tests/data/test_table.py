import numpy as np
import pandas as pd
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
        ("path,label\n0.png,x\n0.png,y\n", r"path '0.png' occurs 2 times \(lines 2 and 3\).*a column for each reader"),
        ("path,sample_id\n0.png,a\n1.png,b\n./0.png,c\n", r"path '0.png' occurs 2 times \(lines 2 and 4\)"),
        ("path,sample_id\n0.png,a\n1.png,a\n", "sample_id 'a' occurs 2 times"),
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


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_another_encoding_is_named(tmp_path, encoding):
    with pytest.raises(UserError, match=r"not in UTF-8.*save it as CSV in UTF-8 \(Excel: \"CSV UTF-8\"\) or as .xlsx"):
        load(written(tmp_path, "path,label\n0.png,böse\n", encoding=encoding))


def test_what_excel_calls_unicode_text_is_read(tmp_path):
    assert load(written(tmp_path, "path\tlabel\n0.png\tböse\n1.png\tgut\n", encoding="utf-16")).classes == (
        "böse",
        "gut",
    )


def test_a_line_that_names_the_separator_for_excel_is_none_of_the_table(tmp_path):
    assert load(written(tmp_path, "sep=;\npath;label\n0.png;a,b\n1.png;c,d\n")).classes == ("a,b", "c,d")


def test_separators_in_quoted_names_do_not_count(tmp_path):
    path = written(tmp_path, '"path";"grade, first, second"\n0.png;x\n1.png;y\n')
    assert load(path, columns={"label": "grade, first, second"}).classes == ("x", "y")


def test_lines_with_more_cells_than_the_first_do_not_shift_the_columns(tmp_path):
    with pytest.raises(UserError, match="Expected 2 fields in line 2, saw 3.*as many cells in each line"):
        load(written(tmp_path, "path,label\n0.png,x,\n1.png,y,\n"))


def test_columns_of_one_name_are_told_apart(tmp_path):
    path = written(tmp_path, "path,label,note,label,note,\n0.png,x,,z,,\n1.png,y,,z,,\n")
    with pytest.raises(UserError, match=r"has 2 columns 'label'; .*data.columns.label='label \(column 2\)'"):
        load(path)
    assert load(path, columns={"label": "label (column 4)"}).classes == ("z",)


def test_a_workbook_is_a_table_like_others(tmp_path):
    pytest.importorskip("openpyxl")
    written(tmp_path, "")
    table = pd.DataFrame({"path": ["0.png", "1.png"], "label": [1, 2], "patient_id": ["007", None]})
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"a": ["read me"]}).to_excel(book, sheet_name="Legend", index=False)
        table.to_excel(book, sheet_name="Scans (2)", index=False)
    manifest = load(tmp_path / "t.xlsx", sheet="Scans (2)")
    assert manifest.classes == ("1", "2")
    assert manifest.table["patient_id"].iloc[0] == "007"
    with pytest.raises(UserError, match="no column 'path'; its columns are a;"):
        load(tmp_path / "t.xlsx")


READERS = "path,r1,r2,r3,patient_id\n0.png,x,x,y,p\n1.png,y,y,,q\n2.png,x,y,,r\n3.png,,,,s\n"


def test_the_label_of_several_readers_is_their_consensus(tmp_path, capsys):
    path = written(tmp_path, READERS)
    manifest = load(path, columns={"label": ["r1", "r2", "r3"]})
    assert manifest.codes().tolist() == [0, 1, -1, -1]
    assert manifest.classes == ("x", "y")
    assert list(manifest.votes) == ["r1", "r2", "r3"]
    assert manifest.votes["r3"].fillna("").tolist() == ["y", "", "", ""]
    one = load(path, columns={"label": "r1"})
    assert one.votes is None
    assert capsys.readouterr().err == ""
    load(path, columns={"label": "r1"}, consensus="dawid_skene")
    assert "Note: data.consensus changes nothing" in capsys.readouterr().err


def test_readers_may_write_codes_where_classes_are_named(tmp_path):
    path = written(tmp_path, "path,r1,r2\n0.png,0,nevus\n1.png,1,scar\n2.png,-1,scar\n")
    manifest = load(path, columns={"label": ["r1", "r2"]}, classes=["nevus", "scar"])
    assert manifest.votes["r1"].fillna("").tolist() == ["nevus", "scar", ""]
    assert manifest.codes().tolist() == [0, 1, 1]
    with pytest.raises(UserError, match="label 'skar' is not one of data.classes"):
        text = path.read_text().replace("0,nevus", "0,skar")
        load(written(tmp_path, text), columns={"label": ["r1", "r2"]}, classes=["nevus", "scar"])


def test_a_named_column_that_is_empty_is_refused(tmp_path):
    path = written(tmp_path, "path,label,dx\n0.png,,\n1.png,,\n")
    assert load(path).classes == ()
    with pytest.raises(UserError, match="scans.csv: the column 'dx' is empty"):
        load(path, columns={"label": "dx"})


def test_only_the_label_may_be_several_columns(tmp_path):
    with pytest.raises(UserError, match=r"data.columns.split=\[a,b\] names several columns; only label may be several"):
        load(written(tmp_path, "path,a,b\n0.png,,\n"), columns={"split": ["a", "b"]})


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


def test_the_scans_of_a_file_share_its_votes(tmp_path):
    path = written(tmp_path, "path,r1,r2\n0.png,x,x\npages.tif,y,y\n")
    pages = [Image.fromarray(np.full((8, 8), page, np.uint8)) for page in (10, 20)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    manifest = load(path, columns={"label": ["r1", "r2"]})
    assert len(manifest) > 2
    assert manifest.votes["r2"].tolist() == manifest.table["label"].tolist() == ["x"] + ["y"] * (len(manifest) - 1)


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
