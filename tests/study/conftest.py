import numpy as np
import pytest

from ssl_robust.cli import run

N = {"train": 60, "val": 12, "test": 15}


@pytest.fixture(scope="session")
def scans_file(tmp_path_factory):
    """Grey scans of three classes that differ in brightness."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in N.items():
        labels = np.arange(n) % 3
        noise = rng.normal(size=(n, 16, 16)) * 20
        arrays[f"{split}_images"] = np.clip(50 + 70 * labels[:, None, None] + noise, 0, 255).astype(np.uint8)
        arrays[f"{split}_labels"] = labels
    path = tmp_path_factory.mktemp("scans") / "scans.npz"
    np.savez(path, **arrays)
    return path


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
