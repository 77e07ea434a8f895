"""A configuration from elsewhere names what it likes: only what a file of the same group names is called."""

import sys

import pytest

from ssl_robust.cli import run
from ssl_robust.run import UserError
from ssl_robust.settings import choices, config_directory, defaults
from ssl_robust.targets import check_targets, resolve

BASE = ["data=phantoms", "method=simclr"]


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The name of a function that leaves a mark when its module is so much as imported; the mark."""
    mark = tmp_path / "executed"
    (tmp_path / "trap_module.py").write_text(f"open({str(mark)!r}, 'w').close()\ndef call(*a, **k): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "trap_module.call", mark
    sys.modules.pop("trap_module", None)


@pytest.mark.parametrize(
    "override",
    [
        "method._target_=os.system",
        "optim._target_=subprocess.Popen",
        "data._target_=os.system",
        "optim._target_=torch.optim.os.system",
        "data._target_=ssl_robust.data.folder.os.system",
        "method._target_=ssl_robust.pretrain.loop.Loop",
        "method._target_=torch.optim.SGD",
        "optim._target_=ssl_robust.pretrain.methods.simclr.SimCLR",
        "method._target_=null",
        "method._target_=[os.system]",
        "method.crops=[{_target_:os.system}]",
        "+optim.inner={_target_:torch.optim.SGD}",
        "+anything={deep:[{_target_:os.system}]}",
        "+_target_=os.system",
        "+hydra.callbacks.x={_target_:os.system}",
        "+hydra.callbacks.x.y=1",
        "hydra.sweeper._target_=os.system",
        "hydra.searchpath=[file:///tmp]",
        "hydra/launcher@x=joblib",
        "+hydra/callbacks=trap",
    ],
)
def test_every_place_and_trick_is_refused_in_one_sentence(override, capsys, tmp_path):
    # Without torch: the refusal comes before any stage is imported.
    assert run(["pretrain", *BASE, override, f"out={tmp_path / 'out'}"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("ssl-robust: ")
    assert "\n" not in said
    assert "_target_" in said or "Hydra" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("group", ["method", "optim", "strategy", "noise", "data", "logger", "launcher", "elsewhere"])
def test_nothing_is_imported_to_find_out(trap, group):
    name, mark = trap
    with pytest.raises(UserError, match=rf"{group}\._target_=trap_module\.call is nothing that ssl-robust calls there"):
        resolve(group, {"_target_": name})
    with pytest.raises(UserError, match=rf"{group}\.a\.0\._target_"):
        check_targets({group: {"a": [{"_target_": name}]}})
    assert not mark.exists()


def test_all_files_of_all_groups_pass():
    groups = [entry.name for entry in config_directory().iterdir() if entry.is_dir()]
    found = {group: {"_target_": each["_target_"]} for group in groups for name in choices(group)
             if "_target_" in (each := defaults(group, name))}  # fmt: skip
    assert {"data", "method", "optim", "strategy", "noise", "logger", "launcher"} <= set(found)
    check_targets(found)
    assert resolve("noise", found["noise"]).__module__ == "ssl_robust.noise.transitions"


@pytest.mark.parametrize("flag", ["--config-dir=/tmp", "--config-path=/tmp", "-cd", "--config-name=x", "--run"])
def test_hydras_flags_that_take_in_other_configurations_are_none_here(flag, capsys):
    assert run(["pretrain", *BASE, flag]) == 2
    assert "is not an option here" in capsys.readouterr().err
