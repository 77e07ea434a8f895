import os
import shutil
import socket
import subprocess

# Tiny tensors: a second thread would only wait for the first. Set before torch is imported; sub-processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A folder of decoded scans for this test alone; the user's own is never touched."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SSL_ROBUST_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def start_two():
    """A command -> two processes as torchrun starts them, the first one first."""

    def start(command):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common = {**os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", "MASTER_PORT": str(port),
                  "MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test", "OMP_NUM_THREADS": "1"}  # fmt: skip
        return [
            subprocess.Popen(
                command,
                env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]

    return start


@pytest.fixture(scope="session")
def bright_scans(tmp_path_factory):
    """Numbers of scans and their side -> an npz of three classes that differ in brightness, so that few steps teach."""

    def write(train, val, test, *, side):
        rng = np.random.default_rng(0)
        arrays = {}
        for split, n in {"train": train, "val": val, "test": test}.items():
            labels = np.arange(n) % 3
            noise = rng.normal(size=(n, side, side)) * 20
            arrays[f"{split}_images"] = np.clip(50 + 70 * labels[:, None, None] + noise, 0, 255).astype(np.uint8)
            arrays[f"{split}_labels"] = labels
        path = tmp_path_factory.mktemp("scans") / "scans.npz"
        np.savez(path, **arrays)
        return path

    return write


_CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    """Chromium; without it these tests are skipped, or fail where SSL_ROBUST_REQUIRE_BROWSER is set."""
    required = bool(os.environ.get("SSL_ROBUST_REQUIRE_BROWSER"))
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        (pytest.fail if required else pytest.skip)("there is no Chromium")
    if not required:
        pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=_CHROMIUM)
        yield browser
        browser.close()
