import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_robust.data.columns import read_table
from ssl_robust.data.written import write_table

TEXTS = st.lists(
    st.text("=+-@'\"1.,;ax\u00e4 \n\r\t\u202e\x1b<", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_every_text_comes_back(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "table.csv"
    write_table(path, pd.DataFrame({"row": range(len(texts)), "text": texts}))
    assert read_table(path)["text"].tolist() == texts


def test_only_what_a_spreadsheet_would_run_is_guarded(tmp_path):
    texts = ["=cmd()", "-a.png", "@x", "+x", "\tx", "'=x", "'x", "-1", "+0.5", "a=b", None]
    table = pd.DataFrame(
        {"text": pd.Series(texts, dtype="string"), "score": -1.0, "near": [["-a.png", "b"]] * len(texts)}
    )
    write_table(tmp_path / "t.csv", table)
    raw = pd.read_csv(tmp_path / "t.csv", dtype={"text": str})
    assert raw["text"].tolist()[:-1] == [
        "'=cmd()", "'-a.png", "'@x", "'+x", "'\tx", "''=x", "'x", "-1", "+0.5", "a=b",
    ]  # fmt: skip
    assert pd.isna(raw["text"].iloc[-1])
    assert raw["score"].tolist() == [-1.0] * len(texts)
    assert raw["near"].tolist() == ['["\'-a.png", "b"]'] * len(texts)
    assert table["text"].iloc[0] == "=cmd()"


def test_lines_within_the_first_column(tmp_path):
    texts = ['=a|\' "x"/b\nc', '"quoted" and\r\nbroken', "plain\rtext"]
    write_table(tmp_path / "t.csv", pd.DataFrame({"sample_id": texts, "label": ["a", "b", "c"]}))
    assert read_table(tmp_path / "t.csv")["sample_id"].tolist() == texts
