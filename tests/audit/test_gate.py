import json
import re

import numpy as np
import pandas as pd
import pytest

from ssl_robust.audit.gate import check_limit, rate_found, refuse_above
from ssl_robust.cli import run
from ssl_robust.data.audit_table import read_audit_table
from ssl_robust.run import AboveLimit, UserError

FLAGGED = {"n_flagged": 3, "n_labelled": 60, "estimate": None}
ESTIMATED = {**FLAGGED, "estimate": {"rate": {"estimate": 0.2, "low": 0.1, "high": 0.3}}}


def test_the_estimate_counts_and_without_one_what_was_flagged(tmp_path):
    assert rate_found(FLAGGED)[0] == rate_found({"n_flagged": 3, "n_labelled": 60})[0] == 0.05
    assert rate_found(ESTIMATED)[0] == 0.2
    for limit, summary in ((None, ESTIMATED), (0.2, ESTIMATED), (0.05, FLAGGED), (1, ESTIMATED)):
        refuse_above(limit, summary, tmp_path)
    with pytest.raises(AboveLimit, match=re.escape("20.00% of the labels are estimated to be wrong, more than")):
        refuse_above(0.19, ESTIMATED, tmp_path)
    with pytest.raises(AboveLimit, match=re.escape("5.00% of the labels are flagged (no estimate is possible)")):
        refuse_above(0.0, FLAGGED, tmp_path)


@pytest.mark.parametrize("limit", [-0.1, 1.5, 5, float("nan"), float("inf"), True, "five"])
def test_no_share_is_refused(limit):
    with pytest.raises(UserError, match="expected a share of the labels, e.g. 0.05"):
        check_limit(limit)


@pytest.fixture
def audit(tmp_path):
    """Runs the command on 60 vectors of two classes, two of them mislabelled; returns the exit code."""
    truth = np.repeat([0, 1], 30)
    vectors = np.random.default_rng(0).normal(size=(60, 8)) + 4 * np.eye(8)[truth]
    np.save(tmp_path / "E.npy", vectors.astype(np.float32))
    truth[[4, 40]] ^= 1
    pd.DataFrame({"label": np.array(["ill", "well"])[truth]}).to_csv(tmp_path / "L.csv", index=False)
    data = ["data=embeddings", f"data.path={tmp_path / 'E.npy'}", f"data.labels={tmp_path / 'L.csv'}"]
    return lambda *options: run(["audit", *data, "bootstrap.n_resamples=5", f"out={tmp_path / 'audit'}", *options])


def test_a_pipeline_sees_it_by_the_exit_code_when_all_is_written(audit, tmp_path, capsys):
    assert audit("fail_above=0.001", "table=parquet") == 3
    said, out = capsys.readouterr(), tmp_path / "audit"
    rate = rate_found(json.loads((out / "audit.json").read_text()))[0]
    assert f"ssl-robust: {rate:.2%} of the labels" in said.err
    assert f"more than fail_above=0.001 allows; read {out / 'report.html'}" in said.err
    assert f"Report: {out / 'report.html'}" in said.out
    assert (out / "report.html").is_file()
    assert json.loads((out / "run.json").read_text())["finished"]
    assert not (out / "audit.csv").exists()
    assert set(read_audit_table(out / "audit.parquet").query("rank <= 2").index) == {4, 40}


def test_a_finished_audit_is_asked_again_without_being_made_anew(audit, tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_robust.report.render", lambda out: None)
    assert audit() == 0
    before = (tmp_path / "audit" / "audit.csv").stat().st_mtime_ns
    assert audit("fail_above=0.5", "resume=true") == 0
    assert audit("fail_above=0.01", "resume=true") == 3
    assert (tmp_path / "audit" / "audit.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("fail_above=5", "fail_above=5 does not fit; expected a share of the labels"),
        ("fail_above=5%", "fail_above=5% does not fit"),
        ("fail_abov=0.1", "audit has no option fail_abov, did you mean fail_above"),
        ("table=parket", "table=parket is not known; expected csv or parquet"),
    ],
)
def test_a_typo_is_told_at_once(audit, tmp_path, capsys, option, sentence):
    assert audit(option) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "audit").exists()
