import numpy as np
import pytest

from ssl_robust.settings import compose

N = {"train": 36, "val": 12, "test": 15}


@pytest.fixture(scope="session")
def scans_file(tmp_path_factory):
    """Grey scans of three classes that differ in brightness: easy, so that a few steps show learning."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in N.items():
        labels = np.arange(n) % 3
        noise = rng.normal(size=(n, 32, 32)) * 20
        arrays[f"{split}_images"] = np.clip(50 + 70 * labels[:, None, None] + noise, 0, 255).astype(np.uint8)
        arrays[f"{split}_labels"] = labels
    path = tmp_path_factory.mktemp("scans") / "scans.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def config(scans_file, tmp_path, monkeypatch):
    """A composed fine-tuning configuration of the smallest kind."""
    monkeypatch.setenv("SSL_ROBUST_CACHE", str(tmp_path / "cache"))

    def make(*overrides, out="run"):
        common = ["data=npz", f"data.path='{scans_file}'", "checkpoint=none", "encoder=resnet10t"]
        small = ["trainer.max_epochs=2", "trainer.batch_size=16", "trainer.device=cpu", "trainer.precision=fp32"]
        quick = ["interval.n_resamples=20", "trainer.progress=false", f"out='{tmp_path / out}'"]
        return compose("finetune", [*common, *small, *quick, *overrides])

    return make
