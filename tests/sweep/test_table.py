"""The table at the end of a sweep."""

import json

import pytest

from ssl_robust.sweep.table import headline, lines, write


def test_headlines_are_the_last_numbers_that_there_are(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "epoch,loss,knn_balanced_accuracy,effective_rank\n0,,0.2,3\n1,0.5,0.7,9\n2,0.4,,\n"
    )
    assert headline("pretrain", tmp_path) == {"knn_balanced_accuracy": 0.7, "effective_rank": 9.0}
    (tmp_path / "metrics.csv").write_text("epoch,effective_rank\n0,3\n")  # no labels
    assert headline("pretrain", tmp_path) == {"effective_rank": 3.0}


@pytest.mark.parametrize(
    ("stage", "file", "values", "expected"),
    [
        ("finetune", "metrics.json", {"best": {"balanced_accuracy": 0.9}, "last": {"balanced_accuracy": 0.8}},
         {"best_balanced_accuracy": 0.9, "last_balanced_accuracy": 0.8}),
        ("audit", "audit.json", {"n_flagged": 3, "truth": None}, {"n_flagged": 3}),
        ("check", "check.json", {"n_findings": {"problem": 2, "look": 0}}, {"n_problems": 2, "n_to_look_at": 0}),
        ("audit", "audit.json", {"n_flagged": 3, "truth": {"average_precision": {"estimate": 0.4}}},
         {"n_flagged": 3, "average_precision": 0.4}),
        ("embed", "run.json", {"n_scans": 7}, {"n_scans": 7}),
    ],
)  # fmt: skip
def test_headlines_of_the_other_stages(tmp_path, stage, file, values, expected):
    assert headline(stage, tmp_path) == {}
    (tmp_path / file).write_text(json.dumps(values))
    assert headline(stage, tmp_path) == expected


def test_rows_on_the_screen_and_on_disk(tmp_path):
    rows = [
        {"method": "byol", "status": "done", "seconds": 61.25, "rank": 3.14159, "error": "", "out": "x"},
        {"method": "=simclr", "status": "failed", "seconds": 0.1, "error": "one sentence", "out": "y"},
    ]
    shown = lines(rows)
    assert shown[0].split() == ["method", "status", "seconds", "rank"]
    assert shown[1].split() == ["byol", "done", "61.25", "3.142"]
    assert shown[3] == "  one sentence"
    text = write(rows, tmp_path / "s").read_text()
    assert "'=simclr,failed,0.1,,one sentence,y" in text
