"""What the command line itself does: Ctrl-C, sweeps, several processes, help."""

import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssl_robust.cli import run
from ssl_robust.overrides import check
from ssl_robust.quoting import quote_paths
from ssl_robust.run import Run
from ssl_robust.stages import STAGES, Stage

DATA = ["data=phantoms", "method=simclr"]


@pytest.fixture
def stage(monkeypatch):
    """Puts a function of this test in place of `pretrain`."""

    def put(function):
        monkeypatch.setitem(sys.modules, "stand_in", SimpleNamespace(stage=function))
        monkeypatch.setitem(STAGES, "pretrain", Stage("stand_in:stage", "", ""))
        monkeypatch.setattr("ssl_robust.report.render", lambda out: None)

    return put


def stopped_with(*files):
    """A stage that is stopped after it wrote some files."""

    def work(config):
        with Run(config.out, stage="pretrain", config={}, resume=config.resume, overwrite=config.overwrite) as run:
            for name in files:
                (run / name).parent.mkdir(parents=True, exist_ok=True)
                (run / name).touch()
            raise KeyboardInterrupt

    return work


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["labels.csv"], "an unfinished run without a checkpoint"),
        (["ssl/last.ckpt"], r"last\.ckpt"),
        (["shards/00000.npy", "shards/00001.npy"], "2 shards"),
    ],
)
def test_ctrl_c_says_what_can_be_resumed(stage, tmp_path, capsys, files, what):
    stage(stopped_with(*files))
    assert run(["pretrain", *DATA, f"out={tmp_path / 'o'}"]) == 2
    assert re.search(f"holds {what}.*the same command with resume=true", capsys.readouterr().err)
    assert run(["pretrain", *DATA, f"out={tmp_path / 'o'}", "overwrite=true"]) == 2
    assert "resume=true in place of overwrite=true" in capsys.readouterr().err


def test_ctrl_c_before_anything_was_written(stage, tmp_path, capsys):
    stage(stopped_with())
    assert run(["pretrain", *DATA, f"out={tmp_path / 'o'}"]) == 2
    assert not (tmp_path / "o").exists()
    assert "run the same command again" in capsys.readouterr().err


def test_ctrl_c_ends_a_whole_sweep(stage, tmp_path, capsys):
    outs = []

    def work(config):
        outs.append(config.out)
        raise KeyboardInterrupt

    stage(work)
    assert run(["pretrain", *DATA, "seed=0,1", "-m", f"out={tmp_path}"]) == 2
    assert len(outs) == 1
    assert "run the same command again" in capsys.readouterr().err


def test_a_run_of_a_sweep_is_named_by_what_differs(stage, tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_robust.cli._refuse_at_once", lambda name, config: None)  # no file has so long a name
    long = "x" * 300
    outs = []
    stage(lambda config: outs.append(Path(config.out).name))
    options = ["pretrain", "data=npz", f"data.path={tmp_path}/it's/{long}.npz", f"out={tmp_path}", "-m"]
    assert run([*options, "method=simclr,byol", "seed=0"]) == 0
    assert outs == ["method-simclr", "method-byol"]
    outs.clear()
    assert run([*options, "method=simclr", f"data.index={tmp_path}/a b.csv,{tmp_path}/{long}.csv"]) == 0
    assert len(set(outs)) == 2
    assert all(re.fullmatch(r"data\.index-[\w.+-]{1,110}", name) for name in outs)


@pytest.mark.parametrize("name", [name for name in STAGES if name != "convert"])
def test_every_stage_is_reached_with_what_it_needs_and_no_more(name, tmp_path, monkeypatch):
    needs = {"pretrain": ["method=simclr"], "probe": ["checkpoint=none"], "embed": ["checkpoint=none"],
             "finetune": ["checkpoint=none"], "predict": ["classifier=runs/classifier"],
             "relabel": ["run=runs/audit"], "review": ["run=runs/audit"]}  # fmt: skip
    reached = []
    monkeypatch.setattr("ssl_robust.cli._load", lambda place: lambda config: reached.append(place) or tmp_path)
    monkeypatch.setattr("ssl_robust.report.render", lambda out: None)
    data = [] if name in ("demo", "relabel", "review") else ["data=phantoms"]
    assert run([name, *data, *needs.get(name, []), f"out={tmp_path / 'run'}"]) == 0
    assert reached == [STAGES[name].function]


def test_several_processes_are_refused_where_they_would_do_the_same(stage, tmp_path, capsys, monkeypatch):
    stage(lambda config: pytest.fail("must not start"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(["audit", "data=phantoms", "checkpoint=none", f"out={tmp_path / 'o'}"]) == 2
    assert "audit was started as 2 processes" in capsys.readouterr().err


def test_the_advice_after_an_audit_is_to_read_the_suspects():
    assert "ssl-robust review run={out}" in STAGES["audit"].next_step


def test_the_next_command_can_be_copied(monkeypatch, tmp_path, capsys):
    step = STAGES["pretrain"].next_step
    monkeypatch.setitem(sys.modules, "stand_in", SimpleNamespace(stage=lambda config: config.out))
    monkeypatch.setitem(STAGES, "pretrain", Stage("stand_in:stage", "", step))
    monkeypatch.setattr("ssl_robust.report.render", lambda out: None)
    scans = tmp_path / "my, scans"
    scans.mkdir()
    assert run(["pretrain", "method=simclr", "data=folder", f"data.path={scans}", f"out={tmp_path}/a b"]) == 0
    command = capsys.readouterr().out.splitlines()[-1].strip()
    stage, *typed = shlex.split(command)[1:]
    config, _ = check(stage, quote_paths(typed, sweep=False))
    assert (config.data.path, config.checkpoint, config.out) == (str(scans), f"{tmp_path}/a b", f"{tmp_path}/a b-audit")


@pytest.mark.parametrize(
    ("name", "groups"),
    [("pretrain", ["data", "launcher", "logger", "method", "optim", "trainer", "views"]), ("demo", [])],
)
def test_help_lists_the_groups_of_this_stage_alone(capsys, name, groups):
    with pytest.raises(SystemExit):  # Hydra's, after --help
        run([name, "--help"])
    text, _, _ = capsys.readouterr().out.partition("Options and their values")
    assert re.findall(r"^(\w+)=(?: \(must be given\))?$", text, re.MULTILINE) == groups


@pytest.mark.parametrize("out", ["out=a (b)", "out=a,b"])
def test_hydra_leaves_no_file_of_its_own_after_a_sweep(stage, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    stage(lambda config: Path(config.out).mkdir(parents=True))
    assert run(["pretrain", *DATA, "seed=0,1", "-m", out]) == 0
    assert {path.name for path in tmp_path.rglob("*") if not path.is_dir()} == {"sweep.csv"}
    assert len(list(tmp_path.rglob("seed-*"))) == 2 * (1 + out.count(","))
