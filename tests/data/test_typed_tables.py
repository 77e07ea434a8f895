import datetime
import sys

import pandas as pd
import pytest

from ssl_robust.data.columns import read_table
from ssl_robust.run import UserError


@pytest.fixture
def workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")

    def write(*sheets, name="t.xlsx"):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for number, rows in enumerate(sheets, start=1):
            sheet = book.create_sheet(f"Sheet {number}")
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / name)
        return tmp_path / name

    return write


def texts(path, **options):
    return read_table(path, **options).fillna("NA!").to_dict("list")


def test_cells_of_a_workbook_come_as_they_look(workbook):
    day, moment = datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 8, 30)
    path = workbook([
        ["id", "grade", "share", "seen", "at", "sure", "note"],
        ["007", 1.0, 0.1 + 0.2, day, moment, True, "NA"],
        [7, 2, -1.5, None, datetime.time(8, 30), False, None],
    ])  # fmt: skip
    assert texts(path) == {
        "id": ["007", "7"], "grade": ["1", "2"], "share": ["0.3", "-1.5"], "seen": ["2024-01-31", "NA!"],
        "at": ["2024-01-31 08:30:00", "08:30:00"], "sure": ["TRUE", "FALSE"], "note": ["NA", "NA!"],
    }  # fmt: skip
    assert {str(dtype) for dtype in read_table(path).dtypes} == {"string"}


def test_the_first_sheet_or_the_named_one(workbook, capsys):
    path = workbook([["a"], ["1"]], [["b"], ["2"]])
    assert texts(path) == {"a": ["1"]}
    assert "t.xlsx has 2 sheets, and 'Sheet 1' is read (the others: 'Sheet 2')" in capsys.readouterr().err
    assert texts(path, sheet="Sheet 2") == {"b": ["2"]}
    assert texts(workbook([["a"], ["1"]])) == {"a": ["1"]}
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="has no sheet 'Sheet 3'; data.sheet= can be 'Sheet 1', 'Sheet 2'"):
        read_table(workbook([["a"]], [["b"]]), sheet="Sheet 3")


def test_a_sheet_of_another_file_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(UserError, match="data.sheet=x names a sheet of an Excel workbook .*, and t.csv is none"):
        read_table(tmp_path / "t.csv", sheet="x")


def test_types_of_parquet_become_texts(tmp_path):
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({
        "text": ["01", None], "whole": [1, None], "share": [0.5, 2.0], "kind": pd.Categorical(["x", None]),
        "seen": pd.to_datetime(["2024-01-31", None]), "both": [["a", "b"], ["c"]],
    })  # fmt: skip
    table.to_parquet(tmp_path / "t.parquet")
    assert texts(tmp_path / "t.parquet") == {
        "text": ["01", "NA!"], "whole": ["1", "NA!"], "share": ["0.5", "2"], "kind": ["x", "NA!"],
        "seen": ["2024-01-31", "NA!"], "both": ["a|b", "c"],
    }  # fmt: skip
    table[["text", "share"]].set_index("text").to_parquet(tmp_path / "t.parquet")
    assert list(texts(tmp_path / "t.parquet")) == ["text", "share"], "a named index is a column"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xlsx", b"PK junk", "cannot be read as an Excel workbook"),
        ("t.xlsx", b"\xd0\xcf\x11\xe0\xa1", "protected by a password or of an old kind"),
        ("t.parquet", b"junk", "cannot be read as a Parquet file"),
        ("t.npy", b"\x93NUMPY\x01\x00", "t.npy is a NumPy file; a table is expected"),
        ("t.csv", b"PK\x03\x04", "t.csv is a workbook or an archive; give it the ending .xlsx"),
        (
            "t.xls",
            b"\xd0\xcf\x11\xe0\xa1",
            "t.xls is an Excel workbook of an old kind or with a password; save it as .xlsx",
        ),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path, name, content, message):
    pytest.importorskip("openpyxl")
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / name)


@pytest.mark.parametrize(("ending", "package"), [("xlsx", "openpyxl"), ("parquet", "pyarrow")])
def test_what_is_not_installed_is_named(tmp_path, monkeypatch, ending, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    (tmp_path / f"t.{ending}").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=rf't.{ending} needs the package {package}; .*"ssl-robust\[tables\]"'):
        read_table(tmp_path / f"t.{ending}")
