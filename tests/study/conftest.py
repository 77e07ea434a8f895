import pytest

from ssl_robust.cli import run


@pytest.fixture(scope="session")
def scans_file(bright_scans):
    return bright_scans(60, 12, 15, side=16)


@pytest.fixture
def study(scans_file, tmp_path, monkeypatch):
    """Words -> exit code of a study of 4 cells on histograms, which takes a second; no report is drawn."""
    monkeypatch.setattr("ssl_robust.report.render", lambda out: None)

    def start(*words, sets=None, code=0):
        data = [f"sets={sets}"] if sets else ["data=npz", f"data.path={scans_file}"]
        options = [
            *data, "inits=[histogram]", "strategies=[cross_entropy,'cross_entropy:label_smoothing=0.1']",
            "noises=[none,symmetric:0.3]", "seeds=1", "finetune.trainer.max_epochs=2", "finetune.trainer.batch_size=16",
            "finetune.interval.n_resamples=5", f"out={tmp_path / 'study'}",
        ]  # fmt: skip
        given = {word.partition("=")[0] for word in words}
        action = [words[0]] if words and "=" not in words[0] else []
        rest = list(words[len(action) :])
        kept = [each for each in options if each.partition("=")[0] not in given]
        assert run(["study", *action, *kept, *rest]) == code
        return tmp_path / "study"

    return start
