import json

import pytest

from ssl_robust.claim import read_run
from ssl_robust.files import UserError, printable, read_json, write_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller (2024)/ä 1.png — 30 %\u202f…", "Müller (2024)/ä 1.png — 30 %\u202f…"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
        ("name\udcff", r"name\udcff"),
    ],
)
def test_nothing_breaks_a_line_of_the_screen(text, shown):
    assert printable(text) == shown
    assert str(UserError(text)) == shown


def test_a_path_of_other_bytes_is_written_and_read(tmp_path):
    write_json(tmp_path / "run.json", {"out": "runs/\udcff", "ä": 1})
    assert read_json(tmp_path / "run.json") == {"out": "runs/\udcff", "ä": 1}


@pytest.mark.parametrize("text", ["[1]", "null", '"x"', "[" * 100_000, '{"a": 1', "\udcff"])
def test_json_of_others_that_is_no_object(tmp_path, text):
    (tmp_path / "run.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=r"run\.json is not (a JSON object|valid JSON)"):
        read_json(tmp_path / "run.json")


@pytest.mark.parametrize("change", [{"schema_version": "9"}, {"config": [1]}, {"schema_version": None}])
def test_a_run_that_was_not_written_here(tmp_path, change):
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": 1, "stage": "embed", "config": {}, **change}))
    with pytest.raises(UserError, match=r"that ssl-robust did not write"):
        read_run(tmp_path)
