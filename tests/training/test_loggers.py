"""What other loggers get of a run, and what they never get."""

import math
from typing import ClassVar

import pytest
from omegaconf import OmegaConf

from ssl_robust.run import UserError
from ssl_robust.settings import choices, compose, defaults
from ssl_robust.training import loggers
from ssl_robust.training.loggers import RowLogger, closing, hyperparameters, make_loggers

ROW = {"epoch": 1, "step": 7, "loss": 0.5, "knn_balanced_accuracy": math.nan, "note": "text"}


class Recorder:
    """Stands in for Lightning's class."""

    made: ClassVar[list] = []

    def __init__(self, **arguments):
        self.arguments, self.calls = arguments, []
        Recorder.made.append(self)

    def __getattr__(self, name):
        return lambda *given, **named: self.calls.append((name, given, named))

    experiment = None


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(Recorder, "made", [])
    monkeypatch.setattr(loggers, "instantiate", lambda settings, **_: Recorder(**settings))
    return Recorder


def config_of(tmp_path, *overrides):
    secret = ["data=csv", f"data.path={tmp_path}/Miller.csv", f"data.cache_dir={tmp_path}", f"out={tmp_path}/run"]
    config = compose("pretrain", [*secret, "method=simclr", "data.columns.patient_id=person", *overrides])
    return OmegaConf.to_container(config, resolve=True)


def test_nothing_is_made_before_the_first_row_and_only_numbers_are_sent(recorder):
    logger = RowLogger({"_target_": "x", "root_dir": "r"}, "run", {"seed": 3})
    assert not recorder.made
    logger.log_metrics(ROW, step=7)
    logger.log_metrics({"loss": 0.4}, step=8)
    (inner,) = recorder.made
    assert inner.arguments == {"_target_": "x", "root_dir": "r"}
    assert inner.calls[0] == ("log_hyperparams", ({"seed": 3},), {})
    assert inner.calls[1] == ("log_metrics", ({"epoch": 1.0, "step": 7.0, "loss": 0.5},), {"step": 7})
    assert inner.calls[3] == ("log_metrics", ({"loss": 0.4},), {"step": 8})


def test_a_logger_is_closed_however_the_training_ends(recorder):
    logger = RowLogger({"_target_": "x"}, "run", {})
    with closing([logger]):  # never used: nothing to close
        pass
    with pytest.raises(KeyboardInterrupt), closing([logger]):
        logger.log_metrics(ROW)
        raise KeyboardInterrupt
    assert recorder.made[0].calls[-1] == ("finalize", ("failed",), {})
    with closing([logger]):
        logger.log_metrics(ROW)
    assert recorder.made[1].calls[-1] == ("finalize", ("success",), {})


def test_hyperparameters_hold_no_path_and_nothing_of_patients(tmp_path):
    sent = dict(hyperparameters(config_of(tmp_path, "encoder=hf-hub:someone/model")))
    assert sent["optim.lr"] > 0
    assert sent["data.image_size"] == "auto"
    assert sent["method._target_"].endswith("SimCLR")
    told = f"{sent}"
    assert not [word for word in ("Miller", str(tmp_path), "person", "patient", "cache", "/") if word in told]


@pytest.mark.parametrize("name", [each for each in choices("logger") if each != "none"])
def test_each_logger_stays_in_the_runs_folder_unless_it_is_asked_otherwise(name, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    config = config_of(tmp_path, f"logger={name}")
    assert str(tmp_path / "run") in str(config["logger"])
    assert config["logger"].get("offline", True)
    with pytest.raises(UserError, match=rf'needs {name}, which .* `pip install "ssl-robust\[{name}\]"`'):
        make_loggers(config["logger"], config["out"], config)


def test_none_is_the_default(tmp_path):
    config = config_of(tmp_path)
    assert make_loggers(config.get("logger"), config["out"], config) == []


def test_tensorboard_gets_the_curves(tmp_path):
    accumulating = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = config_of(tmp_path, "logger=tensorboard")
    made = make_loggers(config["logger"], config["out"], config)
    assert not (tmp_path / "run").exists()
    with closing(made):
        made[0].log_metrics(ROW, step=7)
        made[0].log_metrics({"loss": 0.25}, step=9)
    events = accumulating.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [(each.step, each.value) for each in events.Scalars("loss")] == [(7, 0.5), (9, 0.25)]


def test_what_a_logger_would_make_within_is_refused(tmp_path):
    for inner in ({"_target_": "os.system"}, [{"x": {"_target_": "torch.optim.SGD"}}]):
        settings = {**defaults("logger", "tensorboard"), "name": inner}
        with pytest.raises(UserError, match=r"logger\.name.*_target_=.*take it away"):
            make_loggers(settings, tmp_path, {})
