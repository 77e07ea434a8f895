import pytest

from ssl_robust.cli import run
from ssl_robust.run import read_json


@pytest.mark.slow
def test_one_command_on_doubtful_labels_and_one_on_new_scans(tmp_path, capsys):
    """Phantoms with the encoder that ships: the noise is seen, and the classifier stands it."""
    data = ["data=phantoms", "data.n_patients=60"]
    options = ["freeze=true", "trainer.max_epochs=15", "optim.lr=0.02", "trainer.progress=false"]
    noise = ["noise=symmetric", "noise.rate=0.4"]
    out = tmp_path / "classifier"
    assert run(["train", *data, *options, *noise, f"out={out}"]) == 0
    said = capsys.readouterr().out
    assert "of the" in said
    assert "Remedy: balanced (about" in said
    summary = read_json(out / "train.json")
    assert summary["noise"]["rate"] == pytest.approx(0.4, abs=0.1)
    assert summary["calibration"]["n"] == 72
    assert summary["test"]["balanced_accuracy"] > 0.6
    assert f"ssl-robust predict classifier={out} data=folder" in said
    assert run(["predict", *data, f"classifier={out}", "abstain=0.1", f"out={tmp_path / 'new'}"]) == 0
    assert read_json(tmp_path / "new" / "predict.json")["n_abstained"] == 72
    assert (tmp_path / "new" / "report.html").is_file()
    assert run(["predict", *data, f"classifier={out}", "abstian=0.1", f"out={tmp_path / 'typo'}"]) == 2
    assert "did you mean abstain" in capsys.readouterr().err
