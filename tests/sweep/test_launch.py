"""Sweeps through each launcher, on ready vectors: each run takes a second."""

import os
import stat
import sys

import numpy as np
import pandas as pd
import pytest

from ssl_robust.cli import run
from ssl_robust.run import UserError
from ssl_robust.settings import compose
from ssl_robust.sweep.launch import hydra_overrides, sweep, threads


@pytest.fixture
def audits(tmp_path, monkeypatch):
    """Overrides of a sweep of audits over `tmp_path`'s vectors; processes that are started find this package."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "E.npy", rng.normal(size=(20, 4)))
    (tmp_path / "L.csv").write_text("label\n" + "a\nb\n" * 10)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(each for each in sys.path if each))
    return ["audit", "data=embeddings", f"data.path={tmp_path}/E.npy", f"data.labels={tmp_path}/L.csv",
            f"out={tmp_path}/s", "-m", "noise=symmetric"]  # fmt: skip


def table_of(tmp_path):
    return pd.read_csv(tmp_path / "s" / "sweep.csv", keep_default_na=False)


@pytest.mark.parametrize(
    ("launcher", "needs"),
    [("local", "hydra"), ("joblib", "hydra_plugins.hydra_joblib_launcher"),
     ("submitit_local", "hydra_plugins.hydra_submitit_launcher")],
)  # fmt: skip
def test_a_failed_run_stops_no_other_and_the_rest_is_resumed(audits, tmp_path, capsys, launcher, needs):
    pytest.importorskip(needs)
    options = [*audits, f"launcher={launcher}", "seed=0"]
    assert run([*options, "neighbors.k=0,3"]) == 2
    rows = table_of(tmp_path)
    assert list(rows["neighbors.k"]) == [0, 3]
    assert list(rows["status"]) == ["failed", "done"]
    assert "neighbors.k=0 is not positive" in rows["error"][0]
    assert rows["average_precision"][1] != ""
    assert rows["n_flagged"][1] != ""
    said = capsys.readouterr().out
    assert "neighbors.k=0 is not positive" in said
    assert "Next:" not in said
    assert run([*options, "neighbors.k=3,4", "resume=true"]) == 0
    assert list(table_of(tmp_path)["status"]) == ["done before", "done"]
    assert (tmp_path / "s" / ".sweep").exists() == (launcher != "local")


def script(path, text):
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.skipif(sys.platform == "win32", reason="SLURM has no Windows")
def test_slurm_with_a_stand_in_for_its_commands(audits, tmp_path, monkeypatch):
    """What `sbatch` gets, and that the jobs of its array bring their results home; the cluster is two lines of bash."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    commands = tmp_path / "bin"
    commands.mkdir()
    drop = '[[ "$1" == --*=* || "$1" == --unbuffered ]] && shift || shift 2'
    script(commands / "srun", f'while [[ "$1" == -* ]]; do {drop}; done\nexec "$@" > /dev/null 2>&1\n')
    task = "SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$i SLURM_NTASKS=1"
    kept = f"{tmp_path}/submitted.sh"
    started = f"for i in 0 1; do {task} bash {kept} > /dev/null 2>&1 & done"
    script(commands / "sbatch", f'cp "${{@: -1}}" {kept}\n{started}\necho "Submitted batch job 7"\n')
    script(commands / "sacct", "echo 'JobID|State'\n")
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    wanted = ["launcher=slurm", "launcher.partition=gpu", "launcher.timeout_min=5", "launcher.cpus_per_task=2",
              "launcher.array_parallelism=1", "launcher.additional_parameters={mail-type:END}",
              'launcher.setup=["export X=1"]']  # fmt: skip
    assert run([*audits, *wanted, "seed=0,1"]) == 0
    assert list(table_of(tmp_path)["status"]) == ["done", "done"]
    lines = (tmp_path / "submitted.sh").read_text().splitlines()
    for line in ("--partition=gpu", "--time=5", "--cpus-per-task=2", "--array=0-1%1", "--gpus-per-node=1",
                 "--mem=32GB", "--mail-type=END"):  # fmt: skip
        assert f"#SBATCH {line}" in lines
    assert "export X=1" in lines


def test_a_launcher_that_stops_leaves_the_table_and_exit_code_2(audits, tmp_path, monkeypatch, capsys):
    launching = pytest.importorskip("hydra_plugins.hydra_joblib_launcher._core")

    def stop(**_):
        raise RuntimeError("the node is gone\nand more")

    monkeypatch.setattr(launching, "launch", stop)
    assert run([*audits, "launcher=joblib", "seed=0,1"]) == 2
    assert "the launcher stopped (RuntimeError: the node is gone)" in capsys.readouterr().err
    assert not (tmp_path / "s" / "sweep.csv").exists()  # no run was heard of


def test_a_launcher_that_is_not_installed_is_one_sentence(monkeypatch):
    config = compose("audit", ["data=embeddings", "launcher=slurm"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'needs hydra-submitit-launcher.*pip install "ssl-robust\[sweeps\]"'):
        sweep("audit", [], config, print)


def test_a_launcher_is_for_sweeps_and_has_one_value(audits, capsys):
    alone = [each for each in audits if each != "-m"]
    assert run([*alone, "launcher=joblib"]) == 2
    assert "add -m" in capsys.readouterr().err
    assert run([*audits, "launcher=joblib", "launcher.n_jobs=1,2"]) == 2
    assert "can have one value only" in capsys.readouterr().err


def test_runs_share_the_cores(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    assert threads({"n_jobs": 3, "threads": "auto"}, 9) == 2
    assert threads({"n_jobs": -1, "threads": "auto"}, 9) == 1
    assert threads({"n_jobs": 3, "threads": 5}, 9) == 5
    assert threads({"threads": "auto"}, 2) == 4
    assert threads({"cpus_per_task": 6}, 2) == 6
    assert threads({}, 2) is None
    with pytest.raises(UserError, match="launcher.threads=0 does not fit"):
        threads({"threads": 0}, 2)


def test_hydra_gets_the_options_of_its_launcher_and_no_others(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from ssl_robust.settings import config_directory

    typed = ["data=phantoms", "method=simclr", "launcher=slurm", "launcher.mem_gb=7", "launcher.gpus_per_node=2"]
    told = hydra_overrides(compose("pretrain", typed).launcher, tmp_path)
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        made = hydra_compose("pretrain", [*typed, *told], return_hydra_config=True).hydra.launcher
    assert made._target_.endswith("SlurmLauncher")
    assert (made.mem_gb, made.gpus_per_node, made.timeout_min, made.max_num_timeout) == (7, 2, 240, 3)
    assert made.submitit_folder == f"{tmp_path}/%j"
    assert "threads" not in made
