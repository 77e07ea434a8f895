import os

# Tiny tensors: a second thread would only wait for the first. Set before torch is imported; sub-processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A folder of decoded scans for this test alone; the user's own is never touched."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SSL_ROBUST_CACHE", str(folder))
    return folder
