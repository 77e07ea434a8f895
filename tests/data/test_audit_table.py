import sys

import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.audit_table import check_kind, find_audit_table, read_audit_table, write_audit_table
from ssl_robust.data.columns import read_table
from ssl_robust.run import UserError

TABLE = pd.DataFrame(
    {
        "sample_id": ["=1+1", "'=quoted", "-rf", 'a "b",\r\n|c'],
        "path": pd.array(["=1+1", None, "-rf", "c"], dtype="string"),
        "label": pd.array(["@ill", None, "1", "1"], dtype="string"),
        "suggested_label": pd.array(["@ill", None, "@ill", "1"], dtype="string"),
        "score": [0.5, np.nan, 1.0, 1e-6],
        "p_mislabeled": [0.25, np.nan, 0.75, 0.0],
        "rank": pd.array([2, None, 1, 3], dtype="Int64"),
        "neighbors": pd.Series([["-rf", 'a "b",\r\n|c'], np.nan, ["=1+1", "'=quoted"], []], dtype=object),
        "is_wrong": pd.array([False, None, True, None], dtype="boolean"),
    }
)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_both_kinds_come_back_as_they_were(tmp_path, kind):
    assert find_audit_table(tmp_path) is None
    file = write_audit_table(tmp_path, TABLE, kind=kind)
    assert (file.name, find_audit_table(tmp_path)) == (f"audit.{kind}", file)
    found = read_audit_table(file)
    assert list(found) == list(TABLE)
    assert found["neighbors"].tolist() == [["-rf", 'a "b",\r\n|c'], None, ["=1+1", "'=quoted"], []]
    for name in TABLE.columns.drop("neighbors"):
        assert found[name].isna().tolist() == TABLE[name].isna().tolist(), name
        assert found[name].dropna().tolist() == TABLE[name].dropna().tolist(), name
    assert [str(found[name].dtype) for name in ("score", "rank", "is_wrong")] == ["Float64", "Int64", "boolean"]


def test_parquet_keeps_types_for_other_programs(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    schema = parquet.read_schema(write_audit_table(tmp_path, TABLE, kind="parquet"))
    types = {name: str(schema.field(name).type) for name in ("score", "rank", "neighbors", "is_wrong")}
    assert types.pop("neighbors").startswith("list<")
    assert types == {"score": "double", "rank": "int64", "is_wrong": "bool"}
    assert read_table(tmp_path / "audit.parquet")["sample_id"].tolist()[0] == "=1+1", "data=csv reads it, too"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_damaged_table_is_told_in_one_sentence(tmp_path, kind):
    file = write_audit_table(tmp_path, TABLE.drop(columns="rank"), kind=kind)
    with pytest.raises(
        UserError, match=r"is not the table of an audit \(it has no column 'rank'\); run the audit again"
    ):
        read_audit_table(file)
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"audit\.(csv|parquet) "):
        read_audit_table(file)


def test_kinds_that_cannot_be_written(monkeypatch):
    with pytest.raises(UserError, match="table=excel is not known; expected csv or parquet"):
        check_kind("excel")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("ssl_robust.data.audit_table.find_spec", lambda name: None)
    with pytest.raises(UserError, match="or take table=csv"):
        check_kind("parquet")
    check_kind("csv")
