import os

import pytest

from ssl_robust.settings import compose


@pytest.fixture(scope="session")
def scans_file(bright_scans):
    return bright_scans(90, 30, 30, side=32)


@pytest.fixture(scope="session")
def train_config(scans_file):
    """Composes the smallest `train`."""

    def make(out, *overrides, stage="train"):
        common = ["data=npz", f"data.path='{scans_file}'", "checkpoint=none", f"out='{out}'"]
        small = ["trainer.max_epochs=3", "trainer.batch_size=16", "trainer.device=cpu", "trainer.precision=fp32"]
        quick = ["interval.n_resamples=20", "trainer.progress=false", "freeze=true", "optim.lr=0.05"]
        few = ["estimate.n_resamples=10"] if stage == "train" else []
        return compose(stage, [*common, *small, *quick, *few, *overrides])

    return make


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Decoded scans go to a place of these tests."""
    before = os.environ.get("SSL_ROBUST_CACHE")
    os.environ["SSL_ROBUST_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["SSL_ROBUST_CACHE"]
    else:
        os.environ["SSL_ROBUST_CACHE"] = before


@pytest.fixture(scope="session")
def trained(train_config, tmp_path_factory):
    """A finished run of `train` on labels of which three in ten are wrong; not to be changed."""
    from ssl_robust.classify.train import train

    out = tmp_path_factory.mktemp("runs") / "classifier"
    return train(train_config(out, "noise=symmetric", "noise.rate=0.3"))
