import json
import re

import numpy as np
import pandas as pd
import pytest
from planted import textures, write_set

from ssl_robust.check.readers import describe_readers, judge_readers
from ssl_robust.cli import run
from ssl_robust.data.manifest import build_manifest
from ssl_robust.data.sources import ArraySource
from ssl_robust.data.votes import Votes

EVIL = "<b>Dr. A"
SETTINGS = {"kappa": 0.4, "behind": 0.1, "few": 20}


def manifest(*lines, rule="majority"):
    """A scan for each line of votes, `-` where a reader gave none; readers are a, b, c, …"""
    cells = [[None if cell == "-" else cell for cell in line] for line in lines]
    table = pd.DataFrame(cells, columns=list("abcd"[: len(lines[0])]), dtype="string")
    source = ArraySource(np.zeros((len(lines), 2, 2), np.uint8), "f")
    ids = {"sample_id": list(map(str, range(len(lines)))), "split": ["train"] * len(lines)}
    return build_manifest(
        ids, source, classes=None, fractions={}, split_seed=0, where="here", votes=Votes(table, rule, typed=False)
    )


def described(*lines, rule="majority"):
    return describe_readers(manifest(*lines, rule=rule), rule=rule, n_resamples=200, seed=0)


def judged(*lines):
    return judge_readers(described(*lines), SETTINGS)


def test_without_several_readers_nothing_is_said():
    source = ArraySource(np.zeros((2, 2, 2), np.uint8), "f")
    one = build_manifest({"sample_id": ["0", "1"], "label": ["x", "y"], "split": ["train"] * 2}, source, classes=None,
                         fractions={}, split_seed=0, where="here")  # fmt: skip
    assert describe_readers(one, rule="majority", n_resamples=1, seed=0) is None
    assert judge_readers(None, SETTINGS) == []


@pytest.mark.parametrize(
    ("lines", "severity", "words"),
    [
        # Of 40 scans two readers agree on 36, 28 and 20: Cohen's kappa .8, .4 and 0, as both give each class to half.
        (["xx", "yy"] * 18 + ["xy", "yx"] * 2, "fine", r"Cohen's kappa 0.80 \(.*\), beyond chance 'substantial'"),
        (["xx", "yy"] * 14 + ["xy", "yx"] * 6, "fine", r"Cohen's kappa 0.40 \(.*\), beyond chance 'fair' \(L.*77\)$"),
        (["xx", "yy"] * 10 + ["xy", "yx"] * 10, "look", r"Cohen's kappa 0.00 \(.*\), beyond chance 'slight' .* surely"),
        (["xy", "yx"] * 20, "look", r"Cohen's kappa -1.00 \(.* -1.00 to -1.00\), beyond chance 'poor'"),
        (["xx", "yy"] * 20, "fine", r"Cohen's kappa 1.00 \(.* 1.00 to 1.00\), beyond chance 'almost perfect'"),
        (["xx", "yy"] + ["xy", "yx"] * 2, "fine", "on 33% of the 6 scans that two or more saw, too few to tell"),
        (["x-", "-y"] * 5, "look", "No two readers saw the same scan"),
    ],
)
def test_low_agreement_is_to_be_looked_at(lines, severity, words):
    (finding,) = judged(*lines)
    assert finding.severity == severity
    assert re.search(words, finding.text)


def test_labels_of_one_class_have_no_kappa_and_are_told_elsewhere():
    assert judged(*["xxx"] * 5) == []


def test_a_reader_who_stands_apart_is_named():
    findings = judged(*["xxx", "yyy"] * 30, *["xxy", "yyx"] * 20, *["xx-", "yy-"] * 10)
    (apart,) = [each for each in findings if each.severity == "look"]
    assert apart.text.startswith("c agrees with the other readers of 100 scans in 60%, these among themselves in 100%")
    few = judged("xxx", "yyy", "xxx", "xxy", "yyx", *["xx-", "yy-"] * 100)
    assert [each.severity for each in few] == ["fine"], "3 of 5 scans do not tell surely"
    alone = judged(*["xxx", "yyy"] * 30, *["xxy", "yyx"] * 20, *["--x", "--y"] * 1000)
    assert any(each.text.startswith("c agrees") for each in alone), "what nobody else saw vouches for nobody"


def test_a_reader_who_stands_apart_is_named_where_each_scan_has_two():
    """Ties leave such scans without a label; what the others say of them still tells."""
    good = ["xx--", "-yy-", "x-x-", "yy--", "-xx-", "y-y-"] * 10
    bad = ["x--x", "-x-y", "--xy", "y--y", "-y-x", "--yx"] * 10
    looked = [each.text for each in judged(*good, *bad) if each.severity == "look"]
    assert len(looked) == 1
    assert looked[0].startswith("d agrees with the other readers of 60 scans in 33%, these among themselves in 100%")


def test_dawid_and_skenes_sensitivities():
    """Reader c says x of everything; of z, which a and b alone saw, nothing is known of it."""
    found = described(*["xxx"] * 40, *["yyx"] * 40, *["zz-"] * 40, rule="dawid_skene")
    rates = {each["name"]: each["sensitivity"] for each in found["readers"]}
    assert rates["a"] == pytest.approx({"x": 1, "y": 1, "z": 1}, abs=1e-3)
    assert rates["c"] == {"x": pytest.approx(1, abs=1e-3), "y": pytest.approx(0, abs=1e-3), "z": None}
    assert found["n_against_majority"] == 0
    by_count = described("xxx", "yyx")
    assert "sensitivity" not in by_count["readers"][0]


def test_labels_against_the_majority_are_told():
    """b and c err in turn, a never; where both of them err at once, the model follows a."""
    lines = ["xxx", "yyy"] * 20 + ["xyx", "yxy", "xxy", "yyx"] * 6 + ["xyy", "yxx"]
    facts = described(*lines, rule="dawid_skene")
    told = [each for each in judge_readers(facts, SETTINGS) if "by Dawid and Skene" in each.text]
    assert facts["n_against_majority"] == 2
    assert [each.severity for each in told] == ["look"]
    assert told[0].text.startswith("2 labels by Dawid and Skene's model, not by most readers")


@pytest.mark.parametrize("hashed", [False, True])
def test_the_report_has_a_table_of_the_readers(tmp_path, hashed):
    data = write_set(tmp_path, textures(24), patients=np.arange(24))
    lines = pd.read_csv(data["index"], dtype=str)
    truth = np.tile(["x", "y"], 12)
    lines[EVIL], lines["B"], lines["C"] = truth, truth, np.where(np.arange(24) < 20, truth, truth[::-1])
    lines.to_csv(data["index"], index=False)
    place = [f"data.path='{data['path']}'", f"data.index='{data['index']}'", f"out='{tmp_path / 'run'}'"]
    ids = ["data.ids=hashed", f"data.ids_folder='{tmp_path / 'ids'}'"] if hashed else []
    columns = f"data.columns.label=['{EVIL}',B,C]"
    assert run(["check", "data=npz", *place, columns, "data.consensus=dawid_skene", "n_shown=0", *ids]) == 0
    names = ["reader 1", "reader 2", "reader 3"] if hashed else [EVIL, "B", "C"]
    found = json.loads((tmp_path / "run" / "check.json").read_text(encoding="utf-8"))["readers"]
    assert [each["name"] for each in found["readers"]] == names
    assert found["readers"][2]["with_others"] == pytest.approx(20 / 24)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert EVIL not in page
    assert f"kappa with {names[0].replace('<', '&lt;').replace('>', '&gt;')}" in page
    assert ("Dr. A" in page) is not hashed
    assert "sensitivity as Dawid and Skene's model estimates it" in page
