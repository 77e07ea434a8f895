"""Two processes on one global batch learn what one process learns from it, for every method."""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import ranks
import torch
from lightning.fabric import Fabric

from ssl_robust.cli import run
from ssl_robust.run import read_json

SCRIPT = Path(__file__).with_name("ranks.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory, start_two):
    out = tmp_path_factory.mktemp("ranks")
    for process in start_two([sys.executable, str(SCRIPT), str(out)]):
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors
    return out


def of(results, name):
    return [torch.load(results / f"{name} {rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", [*ranks.VARIANTS, "accumulated"])
def test_two_processes_learn_what_one_does(results, name, tmp_path):
    alone = ranks.train(
        *(("moco", tmp_path) if name == "accumulated" else (name, tmp_path)),
        Fabric(accelerator="cpu", devices=1),
        accumulate=2 if name == "accumulated" else 1,
    )
    for rank in of(results, name):
        assert rank["loss"] == pytest.approx(alone["loss"], abs=1e-4, rel=1e-4)
        for ours, expected in zip(rank["gradients"], alone["gradients"], strict=True):
            assert ours.keys() == expected.keys()
            size = torch.cat([each.flatten() for each in expected.values()]).norm()
            for key, value in expected.items():
                difference = (ours[key] - value).norm()
                assert difference <= 1e-4 * size, f"{key}: {difference / size:.1e} of the whole gradient"


@pytest.mark.parametrize("name", ranks.VARIANTS)
def test_all_processes_end_with_the_same_state(results, name):
    first, second = of(results, name)
    assert first["state"].keys() == second["state"].keys()
    for key, value in first["state"].items():
        torch.testing.assert_close(value, second["state"][key], rtol=0, atol=0, msg=key)


def test_names_in_the_state_are_those_of_one_process(results):
    assert of(results, "simclr")[0]["state"].keys() == ranks.make_method("simclr").state_dict().keys()


@pytest.fixture(scope="module")
def command(scans_file, tmp_path_factory):
    """The smallest pretraining by two processes -> how it is started with this data and this `out`."""
    cache = tmp_path_factory.mktemp("cache")
    options = ["data=npz", f"data.cache_dir={cache}", "encoder=resnet10t", "method=moco",
               "method.queue_size=32", "trainer=ddp", "trainer.device=cpu", "trainer.max_epochs=2",
               "trainer.batch_size=8", "trainer.checkpoint_minutes=0.01"]  # fmt: skip
    started = [sys.executable, "-m", "ssl_robust.cli", "pretrain", *options]
    return lambda out, *more, path=scans_file: [*started, f"data.path={path}", f"out={out}", *more]


def finish(processes):
    """(code, standard output, errors) of each."""
    outputs = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


@pytest.mark.slow
def test_a_run_whose_process_was_killed_ends_as_an_uninterrupted_one(start_two, command, tmp_path):
    for code, _, errors in finish(start_two(command(tmp_path / "whole"))):
        assert code == 0, errors
    first, second = start_two(command(tmp_path / "killed"))
    while not (tmp_path / "killed" / "last.ckpt").exists():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.005)
    second.kill()
    finish([first, second])
    assert first.returncode != 0, "it must not wait for the dead one"
    results = finish(start_two(command(tmp_path / "killed", "resume=true")))
    assert [code for code, *_ in results] == [0, 0], results
    whole, killed = (tmp_path / name / "encoder.safetensors" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()
    assert pd.read_csv(tmp_path / "killed" / "metrics.csv")["epoch"].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_one_command_starts_them_itself(command, tmp_path):
    done = subprocess.run(command(tmp_path / "run", "trainer.devices=2"), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "2 processes share the work" in done.stdout
    assert read_json(tmp_path / "run" / "run.json")["n_processes"] == 2
    again = subprocess.run(command(tmp_path / "run", "trainer.devices=2"), capture_output=True, text=True, timeout=300)
    assert again.returncode == 2
    assert again.stderr.count("already holds a finished pretrain run") == 1
    uneven = command(tmp_path / "uneven", "trainer.devices=3")
    done = subprocess.run(uneven, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.count("trainer.batch_size=8 cannot be shared by 3 processes") == 1
    assert not (tmp_path / "uneven").exists()


@pytest.mark.slow
def test_a_mistake_is_said_once(start_two, command, tmp_path):
    (code, _, errors), (other_code, other_out, other_errors) = finish(
        start_two(command(tmp_path / "run", path="gone.npz"))
    )
    assert (code, other_code) == (2, 2)
    assert errors.count("gone.npz") == 1
    assert other_out == other_errors == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_embed_what_one_does(start_two, scans_file, tmp_path):
    command = [sys.executable, "-m", "ssl_robust.cli", "embed", "data=npz", f"data.path={scans_file}", "device=cpu",
               "checkpoint=none", "batch_size=8"]  # fmt: skip
    for code, _, errors in finish(start_two([*command, f"out={tmp_path / 'two'}"])):
        assert code == 0, errors
    assert run([*command[3:], f"out={tmp_path / 'one'}"]) == 0
    for name in ("embeddings.npy", "samples.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert not (tmp_path / "two" / "shards").exists()
