import subprocess
import sys

import pytest
import torch

from ssl_robust.training.processor import prepare_processor

CODE = """
import resource, sys, torch
from ssl_robust.training.processor import prepare_processor
if sys.argv[1] == "prepared":
    prepare_processor()
tiny = torch.full((4096,), 1e-40)
for _ in range(3):
    (torch.ones(2**23) + 1).sum()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    (torch.ones(2**23) + 1).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, float((tiny * 1.0).sum()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_stays_with_the_process_and_subnormals_become_zero():
    faults, total = {}, {}
    for name in ("plain", "prepared"):
        shown = subprocess.run([sys.executable, "-c", CODE, name], capture_output=True, text=True, check=True).stdout
        faults[name], total[name] = (float(value) for value in shown.split())
    assert faults["prepared"] < faults["plain"] / 2
    assert total["plain"] > 0
    assert total["prepared"] == 0


def test_cudnn_chooses_the_same_algorithms_every_time(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    prepare_processor()
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
