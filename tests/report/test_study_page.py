import json
import re

import numpy as np
import pytest
from studies import make_study
from test_pages import EVIL, Checker

from ssl_robust.files import UserError
from ssl_robust.report import render
from ssl_robust.report.page import escape_markdown
from ssl_robust.report.study_plots import Points, critical_differences, scatter

SMALL = {
    "sets": {"a": (2, 0.9)}, "inits": {"random": 0.0, "simclr": 0.1}, "strategies": {"cross_entropy": 0.0, "gce": 0.1},
    "seeds": (0, 1), "n_test": 60,
}  # fmt: skip
ONE = {"sets": {"a": (2, 0.9)}, "inits": {"default": 0.0}, "strategies": {"gce": 0.0}, "seeds": (0,), "n_test": 40}


def checked(page):
    text = page.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert (checker.wrong, checker.open) == ([], [])
    assert "script" not in checker.tags
    for word in ("None", "nan", "inf ", "{{"):
        assert word not in text
    return text


def test_a_study_has_its_answers_first_and_marks_the_best(tmp_path):
    study = make_study(tmp_path / "s", **SMALL)
    text = checked(render(study))
    places = [text.index(each) for each in ("How much does", "Which sets", "What protects?", "against noise</h2>")]
    assert places == sorted(places)
    assert re.search(r"<b>0\.\d{3}</b>", text)
    assert '<span class="alike" title' in text
    assert text.count('class="plot"') >= 9
    assert "critical difference" in text
    assert "not finished" not in text
    written = (study / "report.md").read_text(encoding="utf-8")
    assert re.search(r"\| \*\*0\.\d{3}\*\* \(", written)
    lines = written.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("| ---"):  # a blank line before or behind it would end the table
            assert lines[number - 1].startswith("| ")
            assert lines[number + 1].startswith("| ")
    assert "| cross\\_entropy |" in written


def test_hostile_names_are_escaped_in_both(tmp_path):
    hostile = {"inits": {"random": 0.0, EVIL: 0.1}, "strategies": {"cross_entropy": 0.0, "a|b": 0.1}}
    study = make_study(tmp_path / "s", **{**SMALL, **hostile})
    text = checked(render(study))
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    written = (study / "report.md").read_text(encoding="utf-8")
    assert "<script" not in written
    assert "a\\|b" in written
    rows = [line for line in written.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} <= {4, 5, 6, 7}


def test_many_strategies_leave_each_color_to_one_and_a_table_to_all(tmp_path):
    many = {f"s{i}": i / 100 for i in range(9)}
    one = {**SMALL, "inits": {"random": 0.0}, "strategies": {"cross_entropy": 0.0, **many}, "seeds": (0, 1)}
    noises = (("none", 0.0), ("symmetric", 0.4))
    text = checked(render(make_study(tmp_path / "s", **one, noises=noises)))
    assert "the 5 that gain most" in text
    assert "Encoders, BEST" not in text
    found = json.loads((tmp_path / "s" / "summary.json").read_text())
    order = found["order"]["strategy"]
    gained = {row["strategy"]: row["estimate"] for row in found["strategy_gains"] if row["set"] is None}
    assert order == ["cross_entropy", *sorted(gained, key=gained.__getitem__, reverse=True)]
    (drawn,) = (each for each in text.split("<svg") if 'aria-label="Strategies, BEST' in each)
    named = [name for name in order if f">{name.replace('_', ' ')}</text>" in drawn]
    assert named == order[:6]
    assert [row["name"][0] for row in found["tables"][0]["strategy"]["rows"]] == order


def test_a_study_of_one_cell(tmp_path):
    text = checked(render(make_study(tmp_path / "s", **ONE, noises=(("symmetric", 0.4),))))
    assert "There is one seed" in text
    assert "There is one init" in text
    assert "There is one strategy" in text
    assert "Average ranks" not in text


def test_clean_labels_alone(tmp_path):
    text = checked(render(make_study(tmp_path / "s", **ONE, noises=(("none", 0.0),), difficulty=False)))
    assert "clean labels</h3>" in text
    assert "by heart" not in text


def test_an_unfinished_study_says_how_much_is_missing(tmp_path):
    study = make_study(tmp_path / "s", **SMALL, keep=lambda cell: cell["seed"] == 0 or cell["init"] == "simclr")
    assert "8 of 32 cells are missing" in checked(render(study))


def test_markdown_is_escaped_on_one_line():
    assert escape_markdown("a|b\n# *c* <d>") == "a\\|b \\# \\*c\\* &lt;d&gt;"
    assert escape_markdown(0.5) == 0.5


def test_diagrams_are_drawn_with_names_as_text():
    names = ["first", "a name that is much too long for it", "third"]
    svg = critical_differences(names, np.array([1.2, 1.5, 2.9]), 0.5, title="Ranks")
    assert "first 1.20" in svg
    assert "a name that is much t…" in svg
    assert "a name that is much too long for it 1.50" in svg  # read out
    svg = scatter(
        [Points("<x>", [1.0], [0.1], [float("nan")], [float("nan")], 1)], x="minutes", title="Gain", zero=True
    )
    assert "<x>" not in svg
    assert "&lt;x&gt;" in svg


def test_a_missing_artefact_is_named(tmp_path):
    study = make_study(tmp_path / "s", **ONE)
    (study / "sets" / "a" / "test.csv").unlink()
    with pytest.raises(UserError, match=r"test\.csv is missing"):
        render(study)
