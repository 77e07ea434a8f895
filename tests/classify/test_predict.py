import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ssl_robust.classify.predict import predict
from ssl_robust.finetune.classifier import CARD
from ssl_robust.report import render
from ssl_robust.run import UserError, read_json, write_json
from ssl_robust.settings import compose

TEXTS = {"predicted": str, "label": str}


@pytest.fixture
def asked(trained, scans_file, tmp_path):
    """Runs `predict`; the classifier of `trained` and its own scans where nothing else is said."""

    def ask(*overrides, classifier=trained, data=("data=npz", f"data.path='{scans_file}'"), out="predictions"):
        options = [f"classifier='{classifier}'", "device=cpu", "precision=fp32", f"out='{tmp_path / out}'"]
        return predict(compose("predict", [*data, *options, *overrides]))

    return ask


@pytest.fixture
def pictures(scans_file, tmp_path):
    """The test scans as files in a folder, without labels."""
    folder = tmp_path / "new"
    folder.mkdir()
    for number, image in enumerate(np.load(scans_file)["test_images"]):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return folder


def test_new_scans_get_the_predictions_that_the_training_run_gave(asked, trained, pictures):
    out = asked(data=("data=folder", f"data.path='{pictures}'"))
    ours = pd.read_csv(out / "predictions.csv", dtype=TEXTS)
    theirs = pd.read_csv(trained / "predictions.csv", dtype=TEXTS)
    assert list(ours.columns) == ["sample_id", "predicted", "probability", "abstained", "p_0", "p_1", "p_2"]
    assert ours["sample_id"].tolist() == [f"{number:03d}.png" for number in range(30)]
    probabilities = ["p_0", "p_1", "p_2"]
    np.testing.assert_allclose(ours[probabilities], theirs[probabilities], atol=2e-3)
    assert (ours["predicted"] == theirs["predicted"]).all()
    np.testing.assert_allclose(ours["probability"], ours[probabilities].max(axis=1))
    assert not ours["abstained"].any()
    summary = read_json(out / "predict.json")
    assert (summary["n"], summary["n_abstained"], summary["measured"]) == (30, 0, None)
    assert "30 scans" in render(out).read_text()


def test_known_labels_are_measured_against(asked, trained):
    out = asked("abstain=0.1")
    table = pd.read_csv(out / "predictions.csv", dtype=TEXTS)
    summary = read_json(out / "predict.json")
    assert len(table) == 150
    assert table["abstained"].sum() == summary["n_abstained"] == 15
    assert table.loc[table["abstained"], "probability"].max() <= table.loc[~table["abstained"], "probability"].min()
    assert summary["measured"]["accuracy"] == pytest.approx((table["label"] == table["predicted"]).mean())
    page = render(out).read_text()
    assert "15 for an expert" in page
    assert "least sure scans left to an expert" in page


def test_a_classifier_of_finetune_is_taken_at_its_word(asked, trained, tmp_path, capsys):
    plain = tmp_path / "finetune"
    plain.mkdir()
    shutil.copy(trained / "classifier.safetensors", plain)
    write_json(
        plain / CARD, {name: value for name, value in read_json(trained / CARD).items() if name != "calibration"}
    )
    out = asked(classifier=plain)
    assert "was not calibrated" in capsys.readouterr().out
    assert read_json(out / "predict.json")["is_calibrated"] is False
    assert "was not calibrated" in render(out).read_text()


def test_labels_that_the_classifier_does_not_know_are_left_out(asked, capsys):
    out = asked("data.classes=['0','1','healthy']")
    assert "does not know the label 'healthy'" in capsys.readouterr().out
    assert read_json(out / "predict.json")["measured"]["n"] == 100


def test_nobody_is_answered_where_the_share_rounds_to_all(asked, pictures, capsys):
    for each in sorted(pictures.iterdir())[1:]:
        each.unlink()
    out = asked("abstain=0.9", data=("data=folder", f"data.path='{pictures}'"))
    assert read_json(out / "predict.json")["threshold"] is None
    assert "1 are left to an expert, the least sure\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["abstain=1.5"], "abstain=1.5 does not fit"),
        (["data.channels=3"], "was trained with data.channels=1, and data.channels=3 was asked for"),
        (["data.image_size=24"], "was trained with data.image_size=32"),
        (["device=gpu"], "device=gpu is unknown"),
    ],
)
def test_an_option_that_does_not_fit_leaves_nothing_behind(asked, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        asked(*overrides)
    assert not (tmp_path / "predictions").exists()


def test_a_directory_without_a_classifier_and_a_folder_without_scans(asked, trained, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no classifier\.safetensors; give the `out` of a train"):
        asked(classifier=tmp_path / "empty")
    with pytest.raises(UserError, match=r"classifier=.*emty does not exist; give the path of a folder"):
        asked(classifier=tmp_path / "emty")
    with pytest.raises(UserError, match="holds no image"):
        asked(data=("data=folder", f"data.path='{tmp_path / 'empty'}'"))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "classifier.safetensors").write_bytes(b"x" * 40)
    shutil.copy(trained / CARD, broken)
    with pytest.raises(UserError, match=r"classifier\.safetensors cannot be read"):
        asked(classifier=broken)
    shutil.copy(trained / "classifier.safetensors", broken)
    write_json(broken / CARD, {**read_json(trained / CARD), "calibration": {"sharpness": -1}})
    with pytest.raises(UserError, match=r"classifier\.json has an impossible calibration; copy the card"):
        asked(classifier=broken)
    assert not (tmp_path / "predictions").exists()


def test_a_finished_run_is_kept(asked, capsys):
    asked()
    with pytest.raises(UserError, match="already holds a finished predict run"):
        asked()
    capsys.readouterr()
    asked("resume=true")
    assert "is finished already" in capsys.readouterr().out
