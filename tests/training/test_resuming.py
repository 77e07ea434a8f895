import pytest
import yaml
from omegaconf import OmegaConf

from ssl_robust.run import Run, UserError, append_row, read_json, write_json
from ssl_robust.training.resuming import check_same, forget_rows, is_finished

SETTINGS = {"seed": 0, "optim": {"lr": 0.1}, "trainer": {"progress": True}, "resume": False}


def start(out, **notes):
    settings = {**SETTINGS, "out": str(out)}
    with Run(out, stage="pretrain", config=settings) as run:
        run.note(**notes)
    return settings


def test_only_what_may_differ_may_differ(tmp_path):
    settings = start(tmp_path / "run", data_fingerprint="a")
    check_same({**settings, "trainer": {"progress": False}, "resume": True}, stage="pretrain", fingerprint="a")
    with pytest.raises(UserError, match=r"optim\.lr was 0\.1 and is now 0\.2"):
        check_same({**settings, "optim": {"lr": 0.2}}, stage="pretrain", fingerprint="a")
    with pytest.raises(UserError, match="have changed"):
        check_same(settings, stage="pretrain", fingerprint="b")
    with pytest.raises(UserError, match="expected finetune"):
        check_same(settings, stage="finetune", fingerprint="a")


def test_nothing_to_compare_with(tmp_path):
    check_same({**SETTINGS, "out": str(tmp_path / "new")}, stage="pretrain", fingerprint="a")


def test_rows_after_the_checkpoint_are_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    for epoch in range(4):
        append_row(path, {"epoch": epoch, "loss": 1.5})
    forget_rows(path, after=1)
    assert path.read_text().splitlines() == ["epoch,loss", "0,1.5", "1,1.5"]
    forget_rows(path, after=-1)
    assert not path.exists()
    forget_rows(path, after=0)


def test_a_strangers_run_is_compared_and_never_called(tmp_path):
    """run.json is the only file of it that is read back as configuration, and only to be held against one's own."""
    out, mark = tmp_path / "run", tmp_path / "executed"
    settings = {**start(out), "resume": True, "method": {"_target_": "ssl_robust.pretrain.methods.simclr.SimCLR"}}
    run = read_json(out / "run.json")
    write_json(out / "run.json", {**run, "config": {**run["config"], "method": {"_target_": "os.system"}}})
    (out / "config.yaml").write_text(f"seed: !!python/object/apply:os.system ['touch {mark}']\n")
    with pytest.raises(UserError, match=r"method\._target_ was os\.system and is now ssl_robust"):
        is_finished(settings, stage="pretrain")
    assert not mark.exists()
    with pytest.raises(yaml.constructor.ConstructorError):  # nor would Hydra's reader run it
        OmegaConf.load(out / "config.yaml")
    assert not mark.exists()
