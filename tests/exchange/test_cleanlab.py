import json

import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.written import write_table
from ssl_robust.run import write_json


def load(out, name):
    return np.load(out / f"{name}.npy", allow_pickle=False)


def test_arrays_of_the_labelled_scans(convert, tmp_path, capsys):
    assert convert("cleanlab") == 0
    out = tmp_path / "out"
    assert load(out, "labels").tolist() == [0, 2, 0]
    assert load(out, "sample_ids").tolist() == ["first", "=2nd()", "4th"]
    assert json.loads((out / "classes.json").read_text()) == ["ill", "rare", "well"]
    assert not (out / "pred_probs.npy").exists()
    said = capsys.readouterr().out
    assert "Left out 1 scans without a label" in said
    assert "cleanlab wants pred_probs too, which to.probabilities=RUN of a finetune run writes" in said


def test_probabilities_of_a_run_are_put_in_the_order_of_scans_and_classes(convert, tmp_path, capsys):
    rows = {"sample_id": ["4th", "=2nd()", "b/2.png"], "p_well": [0.1, 0.7, 0.2], "p_rare": [0.2, 0.2, 0.2],
            "p_ill": [0.7, 0.1, 0.6]}  # fmt: skip
    write_json(tmp_path / "ft" / "run.json", {"schema_version": 1, "stage": "finetune"})
    write_table(tmp_path / "ft" / "predictions.csv", pd.DataFrame(rows))
    for number, given in enumerate((tmp_path / "ft", tmp_path / "ft" / "predictions.csv")):
        out = tmp_path / f"out{number}"
        assert convert("cleanlab", f"to.probabilities={given}", out=out.name) == 0
        assert load(out, "sample_ids").tolist() == ["=2nd()", "4th"]
        assert load(out, "labels").tolist() == [2, 0]
        assert load(out, "pred_probs").tolist() == [[0.1, 0.2, 0.7], [0.7, 0.2, 0.1]]
    assert "Left out 2 scans without a label or without probabilities" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"sample_id": ["4th"], "p_ill": [1.0], "p_well": [0.0]}, "has no column 'p_rare'"),
        ({"sample_id": ["x"], "p_ill": [1], "p_well": [0], "p_rare": [0]}, "holds none of these scans"),
        ({"sample_id": ["4th"], "p_ill": ["x"], "p_well": [0], "p_rare": [0]}, "a probability that is no number"),
        ({"sample_id": ["4th"], "p_ill": [None], "p_well": [0], "p_rare": [0]}, "lacks a probability"),
    ],
)
def test_other_probabilities_are_refused(convert, tmp_path, capsys, rows, message):
    pd.DataFrame(rows).to_csv(tmp_path / "p.csv", index=False)
    assert convert("cleanlab", f"to.probabilities={tmp_path / 'p.csv'}") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_without_labels_are_refused(table, convert, capsys):
    pd.read_csv(table)[["path"]].to_csv(table, index=False)
    assert convert("cleanlab") == 2
    assert "no scan has a label" in capsys.readouterr().err
