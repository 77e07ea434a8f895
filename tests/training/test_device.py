import pytest
import torch

from ssl_robust.run import UserError
from ssl_robust.training.device import pick_device, pick_precision


def test_pick_device():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UserError, match="choose auto, cpu"):
        pick_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="not available"):
            pick_device("cuda")


def test_pick_precision(monkeypatch):
    cpu = torch.device("cpu")
    assert pick_precision("bf16", cpu) is torch.bfloat16
    assert pick_precision("fp32", cpu) is None
    for held, expected in (({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, None)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda held=held: held, raising=False)
        assert pick_precision("auto", cpu) is expected
    with pytest.raises(UserError, match="fp16 is unknown"):
        pick_precision("fp16", cpu)
