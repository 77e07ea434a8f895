import pytest

from ssl_robust.settings import compose


@pytest.fixture(scope="session")
def scans_file(bright_scans):
    return bright_scans(36, 12, 15, side=32)


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
