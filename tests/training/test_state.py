import pickle

import numpy as np
import pytest
import torch

from ssl_robust.run import UserError
from ssl_robust.training.state import read_state

CPU = torch.device("cpu")


@pytest.mark.parametrize("form", ["torch", "pickle", "inside", "legacy"])
def test_a_program_in_a_checkpoint_is_never_run(tmp_path, form):
    mark, path = tmp_path / "executed", tmp_path / "last.ckpt"

    class Trap:
        def __reduce__(self):
            return mark.write_text, ("x",)

    if form == "pickle":
        path.write_bytes(pickle.dumps(Trap()))
    else:
        state = {"epoch": Trap()} if form == "torch" else {"epoch": 1, "method": {"w": torch.ones(2), "x": [Trap()]}}
        torch.save(state, path, _use_new_zipfile_serialization=form != "legacy")
    with pytest.raises(UserError, match=r"last\.ckpt is damaged or holds more than tensors .* never opened"):
        read_state(path, device=CPU, holds=["epoch"])
    assert not mark.exists()
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())
    assert mark.exists(), "the trap is a real one"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", bytes(100)])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        read_state(tmp_path / "last.ckpt", device=CPU, holds=[])


@pytest.mark.parametrize("state", [{"epoch": 1}, [1], 3])
def test_what_is_missing_is_no_state(tmp_path, state):
    torch.save(state, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        read_state(tmp_path / "last.ckpt", device=CPU, holds=["epoch", "method"])


def test_tensors_and_numbers_come_back(tmp_path):
    torch.save({"epoch": 2, "w": torch.arange(3)}, tmp_path / "last.ckpt")
    state = read_state(tmp_path / "last.ckpt", device=CPU, holds=["epoch"])
    assert state["epoch"] == 2
    assert np.array_equal(state["w"], [0, 1, 2])
