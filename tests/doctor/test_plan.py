"""Estimates of the smallest runs: what they promise to hold, not how fast this machine is."""

import json

import pytest

from ssl_robust.doctor.plan import estimate
from ssl_robust.doctor.plan_words import in_words
from ssl_robust.settings import compose

TINY = ["encoder=resnet10t", "trainer.device=cpu", "trainer.batch_size=8", "monitor.queries=4", "monitor.reference=16",
        "monitor.lidar.scans=3", "monitor.lidar.views=2"]  # fmt: skip


@pytest.fixture
def estimated(scans_file, tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_robust.doctor.trial._STEPS", 2)

    def make(stage, *overrides):
        data = ["data=npz", f"data.path='{scans_file}'", f"out='{tmp_path / 'run'}'"]
        return estimate(stage, compose(stage, [*data, *overrides]))

    return make


def test_pretraining_is_counted_as_it_would_run(estimated, tmp_path, cache):
    found = estimated("pretrain", "method=simclr", "trainer.max_epochs=100", *TINY)
    assert found["scans"] == 30
    assert found["cache"]["bytes"] == 30 * 24 * 24
    assert found["cache"]["new"] == 30
    # 20 scans in train; looks after every fourth epoch; 16 voters, 4 queries, 2 views of 3 scans
    assert found["notes"][0] == (
        "100 epochs of 2 steps with 8 scans; 26 looks of the monitor, each at 26 scans and views"
    )
    assert "2 steps were tried on cpu, with 8 scans each" in found["notes"]
    for part in (found["cache"]["decode"], *found["times"].values()):
        assert 0 <= part["low"] <= part["seconds"] <= part["high"]
    assert found["times"]["training"]["low"] > 0
    assert found["disk"]["last.ckpt"] > 3 * found["disk"]["encoder"] > 0  # with AdamW's two moments, and the head
    assert found["disk"]["snapshots (at most)"] == 4 * found["disk"]["encoder"]
    assert json.dumps(found)
    text = in_words(found)
    assert "Estimate for `ssl-robust pretrain`" in text
    assert "Problem" not in text
    assert str(tmp_path) not in text
    assert not (tmp_path / "run").exists()
    assert not list(cache.iterdir())


def test_twice_the_epochs_take_twice_the_time(estimated, monkeypatch):
    from ssl_robust.doctor import training
    from ssl_robust.doctor.trial import Steps

    monkeypatch.setattr(training, "try_steps", lambda *_: Steps([1.0, 2.0, 3.0], 0.5, 0.25, 1000))
    monkeypatch.setattr(training, "seconds_per_scan", lambda *_, **__: [0.01])
    found = estimated("pretrain", "method=simclr", "trainer.max_epochs=10", "monitor.every=5", *TINY)
    assert found["times"]["training"] == {"seconds": 40, "low": 20, "high": 60}
    assert found["times"]["saving"]["seconds"] == 5
    assert found["times"]["monitor"]["seconds"] == pytest.approx(3 * (0.25 + 26 * 0.01))
    # On a slow machine fewer scans are tried, and their steps count for so much more.
    monkeypatch.setattr(training, "_fitting", lambda *_: 4)
    found = estimated("pretrain", "method=simclr", "trainer.max_epochs=10", *TINY)
    assert found["times"]["training"]["seconds"] == 80
    assert any("a step of the run has 8 scans" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("stage", "times", "disk"),
    [("embed", ["embedding"], "vectors"), ("audit", ["embedding"], "vectors"),
     ("finetune", ["training", "measuring"], "classifier")],
)  # fmt: skip
def test_the_other_stages_are_told_by_the_encoder(estimated, stage, times, disk):
    found = estimated(stage, "checkpoint=none")
    assert list(found["times"]) == times
    assert disk in found["disk"]
    assert f"Estimate for `ssl-robust {stage}`" in in_words(found)


def test_weights_from_elsewhere_are_not_asked_for(estimated, monkeypatch):
    """New ones are as fast."""

    def refuse(*_, **__):
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert "embedding" in estimated("embed", "checkpoint=imagenet", "encoder=resnet10t")["times"]


def test_what_does_not_fit_is_said_first(estimated):
    found = estimated("embed", "checkpoint=none")
    found["cache"]["free"] = found["free"] = 10
    lines = in_words(found).split("\n")
    assert lines[1].startswith("Problem: the decoded scans take 17.3 kB, their disk has 10 bytes left")
    assert lines[2].startswith("Problem: the run takes")
