import numpy as np
import pytest

from ssl_robust.settings import compose

N = {"train": 40, "val": 12, "test": 6}


@pytest.fixture(scope="session")
def scans_file(tmp_path_factory):
    """Grey scans of two classes that differ in texture."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in N.items():
        labels = np.arange(n) % 2
        coarse = rng.random((n, 8, 8)).repeat(4, axis=1).repeat(4, axis=2)
        images = np.where(labels[:, None, None] == 1, coarse, rng.random((n, 32, 32)))
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = (255 * images).astype(np.uint8), labels
    path = tmp_path_factory.mktemp("scans") / "scans.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def overrides(scans_file, tmp_path):
    """Options of the smallest pretraining."""
    data = ["data=npz", f"data.path='{scans_file}'", f"out='{tmp_path / 'run'}'", "encoder=resnet10t", "method=simclr"]
    return [*data, "trainer.max_epochs=3", "trainer.batch_size=8", "trainer.device=cpu", "trainer.progress=false"]


@pytest.fixture
def config(overrides):
    return lambda *more: compose("pretrain", [*overrides, *more])
