import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from ssl_robust.encoders.checkpoint import load_encoder
from ssl_robust.files import read_columns
from ssl_robust.pretrain.stage import pretrain
from ssl_robust.run import UserError, read_json

START = """
import sys, torch
torch.set_num_threads(1)
from ssl_robust.settings import compose
from ssl_robust.pretrain.stage import pretrain
pretrain(compose("pretrain", sys.argv[1:]))
"""


def weights(out):
    return (Path(out) / "encoder.safetensors").read_bytes()


@pytest.fixture(scope="module")
def finished(scans_file, tmp_path_factory):
    """One uninterrupted run, and the options that it had."""
    from ssl_robust.settings import compose

    out = tmp_path_factory.mktemp("finished") / "run"
    options = ["data=npz", f"data.path='{scans_file}'", "encoder=resnet10t", "method=moco", "method.queue_size=32",
               "trainer.max_epochs=3", "trainer.batch_size=8", "trainer.accumulate=2", "trainer.device=cpu",
               "trainer.progress=false", f"data.cache_dir='{out.parent}'"]  # fmt: skip
    pretrain(compose("pretrain", [*options, f"out='{out}'"]))
    return out, options


def test_the_run_directory_holds_what_the_next_stage_needs(finished):
    out, _ = finished
    names = {path.name for path in out.iterdir()}
    expected = {
        "encoder.safetensors",
        "encoder.json",
        "metrics.csv",
        "last.ckpt",
        "run.json",
        "config.yaml",
        "scans.npy",
        "snapshots",
    }
    assert names == expected
    encoder = load_encoder(out)
    assert encoder.card.method == "moco"
    assert encoder.card.n_scans == 40
    assert encoder.card.input_size == 32
    run = read_json(out / "run.json")
    assert run["finished"]
    assert run["data_fingerprint"] == encoder.card.data_fingerprint


def test_metrics_have_a_row_per_epoch_and_one_before_the_first(finished):
    rows = pd.read_csv(finished[0] / "metrics.csv")
    assert rows["epoch"].tolist() == [0, 1, 2, 3]
    assert rows["step"].tolist() == [0, 3, 6, 9]  # five batches an epoch, two for a step, one for the last
    assert rows["loss"].isna().tolist() == [True, False, False, False]
    assert rows[["knn_balanced_accuracy", "effective_rank", "feature_spread"]].notna().all(axis=None)
    assert rows["lr"].iloc[-1] < rows["lr"].iloc[1]


def test_the_last_checkpoint_is_no_pickle_of_objects(finished):
    state = torch.load(finished[0] / "last.ckpt", weights_only=True)
    assert (state["epoch"], state["batch"]) == (3, 0)
    assert set(state) == {"epoch", "batch", "totals", "seconds", "method", "optimizer"}


@pytest.mark.parametrize(("minutes", "done"), [(10, (1, 0)), (1e-9, (1, 2))], ids=["per epoch", "per step"])
def test_a_stopped_run_ends_as_an_uninterrupted_one(finished, tmp_path, monkeypatch, minutes, done):
    """Stopped in the middle of the second epoch, as Ctrl-C does, which must not be swallowed."""
    from ssl_robust.pretrain.methods.moco import MoCo
    from ssl_robust.settings import compose

    whole, options = finished
    options = [*options, f"out='{tmp_path / 'run'}'", f"trainer.checkpoint_minutes={minutes}"]
    original, calls = MoCo.loss, []

    def interrupted(self, views, progress):
        calls.append(progress)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return original(self, views, progress)

    monkeypatch.setattr(MoCo, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(compose("pretrain", options))
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    # Five batches an epoch, two for a step: the eighth loss is that of the third batch of the second epoch.
    assert (state["epoch"], state["batch"]) == done
    assert not read_json(tmp_path / "run" / "run.json")["finished"]
    monkeypatch.setattr(MoCo, "loss", original)
    pretrain(compose("pretrain", [*options, "resume=true"]))
    assert weights(tmp_path / "run") == weights(whole)
    left, right = (pd.read_csv(each / "metrics.csv") for each in (whole, tmp_path / "run"))
    pd.testing.assert_frame_equal(left.drop(columns=["seconds", "images_per_second"]),
                                  right.drop(columns=["seconds", "images_per_second"]))  # fmt: skip


@pytest.mark.slow
def test_a_killed_run_ends_as_an_uninterrupted_one(finished, tmp_path):
    whole, options = finished
    options = [*options, f"out='{tmp_path / 'run'}'"]
    process = subprocess.Popen([sys.executable, "-c", START, *options])
    checkpoint = tmp_path / "run" / "last.ckpt"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "encoder.safetensors").exists()
    subprocess.run([sys.executable, "-c", START, *options, "resume=true"], check=True)
    assert weights(tmp_path / "run") == weights(whole)


def test_the_seed_decides(config, tmp_path):
    short = ["trainer.max_epochs=1", "overwrite=true"]
    results = [weights(pretrain(config(*short, f"seed={seed}"))) for seed in (0, 0, 1)]
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_a_resumed_run_must_be_the_same_run(config):
    pretrain(config("trainer.max_epochs=1"))
    with pytest.raises(UserError, match=r"method\.temperature was 0\.2 and is now 0\.5"):
        pretrain(config("trainer.max_epochs=1", "resume=true", "method.temperature=0.5"))
    with pytest.raises(UserError, match=r"trainer\.batch_size was 8 and is now 4"):
        pretrain(config("trainer.max_epochs=1", "resume=true", "trainer.batch_size=4"))


def test_an_occupied_directory_is_refused_before_the_scans_are_read(config, tmp_path):
    pretrain(config("trainer.max_epochs=1"))
    with pytest.raises(UserError, match="already holds a finished pretrain run"):
        pretrain(config("data.path=gone.npz"))


def test_fewer_scans_than_a_batch_make_a_smaller_batch(config, capsys):
    out = pretrain(config("trainer.max_epochs=1", "trainer.batch_size=64"))
    assert "Only 40 scans: trainer.batch_size=40 instead of 64" in capsys.readouterr().out
    assert pd.read_csv(out / "metrics.csv")["step"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["method=simclr", "views=scan"], None),
        (["method=rotation", "views=photo"], None),  # which is upright already
        (["method=rotation", "views=scan"],
         "method=rotation takes views.flip.vertical=0 in place of 0.5, views.rotation=0 in place of 180, which would"),
        (["method=rotation", "views.flip.vertical=0", "views.rotation=7"],
         "takes views.rotation=0 in place of 7, which"),
        (["method=rotation", "views.flip.vertical=0", "views.rotation=7", "method.views.rotation=7"], None),
        (["method=rotation", "views.flip.vertical=0", "method.views.rotation=2.5", "views=xray"],
         "takes views.rotation=2.5 in place of 15, which"),
    ],
)  # fmt: skip
def test_views_that_a_method_replaces_are_said(capsys, overrides, said):
    from ssl_robust.overrides import check
    from ssl_robust.pretrain.checks import say_replaced_views

    composed, _ = check("pretrain", ["data=phantoms", *overrides])
    say_replaced_views(OmegaConf.to_container(composed, resolve=True))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_epochs=0", "trainer.max_epochs=0 does not fit"),
        ("trainer.checkpoint_minutes=0", "trainer.checkpoint_minutes=0 does not fit"),
        ("data.split=dev", "data.split=dev is unknown"),
        ("monitor.every=0", "monitor.every=0 does not fit"),
        ("monitor.queries=1", "monitor.queries=1 does not fit; expected a whole number, at least 2"),
        ("monitor.lidar.views=1", "monitor.lidar.views=1 does not fit"),
        ("encoder=resnet0815", "is not a timm model"),
        ("method.temperature=0", "an option of method, views or optim does not fit"),
        ("views.flip.horizontal=2", "an option of method, views or optim does not fit"),
        ("optim.lr=1e30", "lower optim.lr"),
    ],
)
def test_mistakes_get_one_sentence_and_leave_nothing_behind(config, tmp_path, override, message):
    with pytest.raises(UserError, match=message):
        pretrain(config(override))
    assert not (tmp_path / "run").exists() or not (tmp_path / "run" / "encoder.safetensors").exists()


def test_weights_spoilt_by_the_last_step_of_an_epoch_are_not_kept(config, tmp_path):
    with pytest.raises(UserError, match=r"no longer finite in epoch 1, at step 1;.*lower optim\.lr"):
        pretrain(config("optim.lr=1e38", "trainer.batch_size=40", "optim.warmup=0"))
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_lines_tell_how_far_it_is(config, capsys):
    pretrain(config("trainer.progress=true", "trainer.max_epochs=2"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Found 58 scans, grey, 32 px, 2 classes")
    assert lines[1].startswith("epoch 0/2  kNN ")
    assert "loss" in lines[2]
    assert "left" in lines[2]


def test_views_too_small_for_the_encoder_are_refused_before_training(config, tmp_path):
    with pytest.raises(UserError, match=r"convnext_atto cannot take views of 24 px .*size:1\.0"):
        pretrain(config("method=byol", "encoder=convnext_atto"))
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_bf16_gradients_of_half_sized_views_are_finite(config, tmp_path):
    pretrain(config("method=dino", "trainer.precision=bf16", "trainer.max_epochs=1"))
    rows = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert rows["loss"].iloc[-1] > 0


def test_another_logger_gets_the_rows_and_may_change_when_a_run_is_resumed(finished, tmp_path):
    accumulating = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from ssl_robust.settings import compose

    options = [*finished[1], f"out='{tmp_path / 'run'}'"]
    pretrain(compose("pretrain", [*options, "logger=tensorboard"]))
    events = accumulating.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    rows = pd.read_csv(tmp_path / "run" / "metrics.csv")
    expected = rows.dropna(subset=["loss"])
    assert [each.step for each in events.Scalars("loss")] == list(expected["step"])
    assert [each.value for each in events.Scalars("loss")] == pytest.approx(list(expected["loss"]))
    assert weights(tmp_path / "run") == weights(finished[0])
    pretrain(compose("pretrain", [*options, "resume=true"]))


def test_all_that_a_method_tells_is_written_down(config):
    run = pretrain(config("method=rotation", "trainer.max_epochs=1"))
    accuracy = read_columns(run / "metrics.csv")["accuracy"][-1]
    assert 0 < accuracy < 1
    assert accuracy * 40 * 4 == pytest.approx(round(accuracy * 40 * 4), abs=1e-3), "a mean over all scans and turns"
