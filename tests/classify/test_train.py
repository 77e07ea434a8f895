import json

import numpy as np
import pandas as pd
import pytest

from ssl_robust import metrics
from ssl_robust.classify.predictor import load_predictor
from ssl_robust.classify.train import train
from ssl_robust.data.scanset import open_scans
from ssl_robust.finetune.classifier import CARD
from ssl_robust.report import render
from ssl_robust.run import UserError, read_json

CLASSES = ["0", "1", "2"]


def test_artefacts_agree_with_one_another(trained):
    summary, results = read_json(trained / "train.json"), read_json(trained / "metrics.json")
    noise, test = summary["noise"], summary["test"]
    doubts = pd.read_csv(trained / "doubts.csv", dtype={"given_label": str, "suggested_label": str})
    labels = pd.read_csv(trained / "labels.csv", dtype=str).set_index("sample_id")
    assert len(doubts) == noise["n_labels"] == 90
    assert (np.diff(doubts["p_wrong"]) <= 0).all()
    assert doubts["p_wrong"].mean() == pytest.approx(noise["rate"], abs=1e-4)
    assert (doubts["given_label"] == labels.loc[doubts["sample_id"], "given_label"].to_numpy()).all()
    doubted = doubts["p_wrong"] > 0.5
    assert (doubted <= (doubts["given_label"] != doubts["suggested_label"])).all()
    assert doubted.sum() == noise["n_doubted"]
    predictions = pd.read_csv(trained / "predictions.csv", dtype={"label": str, "predicted": str})
    p = predictions[[f"p_{name}" for name in CLASSES]].to_numpy()
    true = predictions["label"].astype(int).to_numpy()
    assert test["ece"] == pytest.approx(metrics.calibration_error(true, p), abs=1e-4)
    assert test["balanced_accuracy"] == pytest.approx(results["best"]["balanced_accuracy"])
    assert np.trace(test["confusion"]) / 30 == pytest.approx(test["accuracy"])
    assert test["labels_are_true"] is True
    assert read_json(trained / CARD)["calibration"] == summary["calibration"]
    assert str(trained) not in (trained / CARD).read_text() + (trained / "train.json").read_text()


def test_wrong_labels_are_seen_and_a_remedy_is_chosen(trained):
    summary = read_json(trained / "train.json")
    truth = read_json(trained / "metrics.json")["noise"]["realised_rate"]
    assert summary["noise"]["rate"] == pytest.approx(truth, abs=0.12)
    assert summary["remedy"]["name"] == "balanced"
    assert summary["remedy"]["strategy"]["mode"] == "soften"
    assert "90% interval" in summary["noise"]["sentence"]
    assert summary["test"]["balanced_accuracy"] > 0.8


def test_the_saved_classifier_gives_the_predictions(trained, train_config, tmp_path):
    predictor = load_predictor(trained)
    scans = open_scans(train_config(tmp_path / "x").data)
    rows = scans.manifest.rows("test")
    raw = predictor.raw(scans, rows, device="cpu", precision="fp32", show=False)
    written = pd.read_csv(trained / "predictions.csv")
    assert predictor.is_calibrated
    np.testing.assert_allclose(predictor.calibration.apply(raw), written[["p_0", "p_1", "p_2"]], atol=2e-3)


def test_the_page(trained):
    text = render(trained).read_text()
    summary = read_json(trained / "train.json")
    assert summary["noise"]["sentence"] in text
    assert f"{summary['test']['balanced_accuracy']:.3f}" in text
    assert "come from where the others come from" not in text  # the truth is known: noise was added here


def test_clean_labels_are_trained_on_as_finetune_would(train_config, tmp_path):
    from ssl_robust.finetune.stage import finetune

    options = ["trainer.gradients=false"]
    ours = train(train_config(tmp_path / "ours", *options))
    theirs = finetune(train_config(tmp_path / "theirs", *options, stage="finetune"))
    summary = read_json(ours / "train.json")
    assert summary["remedy"]["name"] == "plain"
    assert summary["test"]["labels_are_true"] is False
    assert "come from where the others come from" in render(ours).read_text()
    assert (ours / "metrics.json").read_bytes() == (theirs / "metrics.json").read_bytes()
    assert (ours / "classifier.safetensors").read_bytes() == (theirs / "classifier.safetensors").read_bytes()


def test_killed_and_resumed_equals_uninterrupted(trained, train_config, tmp_path, monkeypatch):
    from ssl_robust.finetune import job

    class Killed(Exception):
        pass

    def killed(self, epoch, display, go=job.Loop.epoch):
        if epoch == 2:
            raise Killed
        return go(self, epoch, display)

    options = ["noise=symmetric", "noise.rate=0.3"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(job.Loop, "epoch", killed)
        train(train_config(tmp_path / "parts", *options))
    # Another device may estimate a little less noise: what was begun is ended, for its checkpoint fits nothing else.
    monkeypatch.setattr("ssl_robust.classify.train.choose", lambda *asked: pytest.fail("chosen already"))
    parts = train(train_config(tmp_path / "parts", *options, "resume=true"))
    for name in ("train.json", "metrics.json", "predictions.csv", "doubts.csv", CARD):
        assert (parts / name).read_bytes() == (trained / name).read_bytes(), name
    with pytest.raises(UserError, match=r"rule\.noise_from"):
        train(train_config(tmp_path / "parts", *options, "resume=true", "rule.noise_from=0.2"))


def test_without_validation_labels_nothing_is_calibrated(train_config, tmp_path, scans_file, capsys):
    arrays = dict(np.load(scans_file))
    scans = tmp_path / "scans.npz"
    np.savez(scans, **{name: each for name, each in arrays.items() if not name.startswith("val")})
    out = train(train_config(tmp_path / "run", f"data.path='{scans}'"))
    assert "are not calibrated" in capsys.readouterr().out
    assert json.loads((out / CARD).read_text())["calibration"] == {"sharpness": 1.0, "n": 0, "shifts": []}
    assert "No labelled scan is in the split val" in render(out).read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["remedy=robust"], "remedy=robust is no remedy; choose one of auto, plain"),
        (["rule.noise_from=30"], "rule.noise_from=30"),
        (["calibration.pull=-1"], "calibration.pull=-1"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0"),
        (["noise=symmetric", "noise.rate=0.7"], "noise=symmetric: rate=0.7"),
    ],
)
def test_an_option_that_does_not_fit_leaves_nothing_behind(train_config, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        train(train_config(tmp_path / "run", *overrides))
    assert not (tmp_path / "run").exists()
