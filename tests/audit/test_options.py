"""Options of an audit that cannot be: one sentence, exit code 2, nothing left behind."""

import numpy as np
import pandas as pd
import pytest

from ssl_robust.cli import run


@pytest.fixture
def refused(tmp_path, capsys):
    """Runs an audit of 60 vectors that must be refused; returns its one sentence."""
    np.save(tmp_path / "E.npy", np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    pd.DataFrame({"label": ["ill", "well"] * 30}).to_csv(tmp_path / "L.csv", index=False)
    data = ["data=embeddings", f"data.path={tmp_path / 'E.npy'}", f"data.labels={tmp_path / 'L.csv'}"]

    def check(*options):
        assert run(["audit", *data, f"out={tmp_path / 'audit'}", *options]) == 2
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ssl-robust: ")]
        assert len(said) == 1
        assert not (tmp_path / "audit").exists()
        return said[0]

    return check


def test_numbers_that_do_not_fit(refused):
    for option, what in (
        ("neighbors.k=0", "is not positive; give a whole number from 1"),
        ("neighbors.k=many", "does not fit, expected a whole number such as 50"),
        ("neighbors.temperature=0", "is not positive; give a number above zero"),
        ("neighbors.recall=2", "does not fit; expected a share above 0"),
        ("neighbors.index=annoy", "is not known; expected auto, exact or ivf"),
        ("n_suspects=-1", "is negative; give a whole number from 0"),
        ("probe.folds=1", "is too small; give a whole number from 2"),
        ("probe.rounds=-1", "is negative; give a whole number from 0"),
        ("probe.fitted_on=0", "is not positive; give a whole number from 1"),
        ("probe.gamma=-1", "is negative; give a number from zero"),
        ("probe.penalties=[1]", "does not fit; give two numbers above zero"),
        ("probe.penalties_again=[1,x]", "does not fit; give two numbers above zero"),
        ("noise_model.small=0", "is not positive; give a number above zero"),
        ("noise_model.spread=0", "is not positive; give a number above zero"),
        ("noise_model.price=-1", "is negative; give a number from zero"),
        ("noise_model.common=1", "is no share; give a number between zero and one"),
        ("noise_model.anchors.fewest=0", "is not positive; give a whole number from 1"),
        ("estimate.level=1", "is no share; give a number between zero and one"),
        ("estimate.level=high", "does not fit, expected a number such as 0.9"),
        ("estimate.n_resamples=0", "is not positive; give a whole number from 1"),
        ("estimate.fewest_patients=0", "is not positive; give a whole number from 1"),
        ("bootstrap.level=0", "is no share; give a number between zero and one"),
        ("duplicates.spare=-1", "is negative; give a whole number from 0"),
        ("outliers.limit=-1", "is negative; give a number from zero"),
        ("patients.likely=2", "is no share; give a number between zero and one"),
        ("table=xls", "is not known; expected csv or parquet"),
        ("fail_above=2", "expected a share of the labels"),
    ):
        said = refused(option)
        name, _, value = option.partition("=")
        assert said.startswith(f"ssl-robust: {name}={value[:2]}"), said
        assert what in said


def test_scores_that_do_not_fit(refused):
    assert "score=knnn does not exist, did you mean knn" in refused("score=knnn")
    assert "score.temperature=x is no number; give a number above zero" in refused("score=knn", "score.temperature=x")
    assert "score.temperature=0 is not positive" in refused("score=knn", "score.temperature=0")
    assert "nowhere holds no run" in refused("score=aum", "dynamics=nowhere")


@pytest.mark.parametrize("score", ["aum", "mean_loss", "vog"])
def test_a_score_of_training_needs_a_run(tmp_path, capsys, score):
    np.save(tmp_path / "E.npy", np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    pd.DataFrame({"label": ["ill", "well"] * 30}).to_csv(tmp_path / "L.csv", index=False)
    data = ["data=embeddings", f"data.path={tmp_path / 'E.npy'}", f"data.labels={tmp_path / 'L.csv'}"]
    assert run(["audit", *data, f"out={tmp_path / 'audit'}", f"score={score}"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "give dynamics=RUN, a finetune run on these labels" in said[0]
