import pytest
import torch

from ssl_robust.doctor import devices


def test_auto_is_what_the_stages_take():
    from ssl_robust.training.device import pick_device, pick_precision

    found = devices.devices()
    assert found["device"] == pick_device("auto").type
    assert (found["precision"] == "bf16") == (pick_precision("auto", pick_device("auto")) is not None)
    assert bool(found["gpus"]) == (found["why_no_gpu"] is None)


@pytest.fixture
def torch_with_cuda(monkeypatch, tmp_path):
    """A build of torch for GPUs, on a machine with a driver."""
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "version").touch()
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "version")
    return tmp_path


def test_a_build_for_processors(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert "knows processors alone" in devices.why_no_gpu()


def test_hidden_gpus(torch_with_cuda, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" in devices.why_no_gpu()


def test_no_driver(torch_with_cuda):
    (torch_with_cuda / "version").unlink()
    assert "no NVIDIA driver is loaded" in devices.why_no_gpu()


def test_what_torch_says_of_a_driver_too_old(torch_with_cuda, monkeypatch):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nMore words.")

    monkeypatch.setattr(torch.cuda, "init", init)
    assert devices.why_no_gpu() == "The NVIDIA driver on your system is too old (found version 11040)."
