"""One run of a sweep: what is written down of it, whatever happens."""

import json
import pickle
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from ssl_robust.run import Run, UserError
from ssl_robust.sweep.job import Job, read_outcome


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: SimpleNamespace(job=SimpleNamespace(num=1))))

    def make(execute, **changes):
        values = {"labels": ("a", "b"), "folder": str(tmp_path / ".sweep"), "threads": None, "logs": False}
        return Job("pretrain", execute, **{**values, **changes})

    return make


def config_of(tmp_path, **changes):
    values = {"out": str(tmp_path), "resume": False, "overwrite": False, "launcher": {"n_jobs": 2}, "seed": 0}
    return OmegaConf.create({**values, **changes})


def test_a_run_gets_its_own_folder_and_never_sees_the_launcher(job, tmp_path):
    seen = []
    job(lambda *given: seen.append(given))(config_of(tmp_path))
    assert seen == [("pretrain", OmegaConf.create({"out": str(tmp_path / "b"), "resume": False, "overwrite": False,
                                                   "seed": 0}), None)]  # fmt: skip
    assert read_outcome(tmp_path / ".sweep", 1)["status"] == "done"


@pytest.mark.parametrize(
    ("error", "said"), [(UserError("one sentence"), "one sentence"), (OSError("no\nroom"), "OSError: no")]
)
def test_a_mistake_and_a_crash_are_written_down(job, tmp_path, error, said, capsys):
    def fail(*_):
        raise error

    job(fail)(config_of(tmp_path))
    found = read_outcome(tmp_path / ".sweep", 1)
    assert (found["status"], found["error"]) == ("failed", said)
    assert ("Traceback" in capsys.readouterr().err) == (not isinstance(error, UserError))


def test_a_run_that_was_killed_has_no_result_and_is_continued_when_it_is_started_again(job, tmp_path):
    seen = []

    def killed(stage, config, _):
        seen.append((config.resume, config.overwrite))
        if len(seen) == 1:
            raise SystemExit

    with pytest.raises(SystemExit):
        job(killed)(config_of(tmp_path, overwrite=True))
    assert read_outcome(tmp_path / ".sweep", 1)["status"] == "no result"
    job(killed)(config_of(tmp_path, overwrite=True))
    assert seen == [(False, True), (True, False)]
    assert read_outcome(tmp_path / ".sweep", 0)["status"] == "no result"


def test_finished_runs_are_left_out_where_the_sweep_is_resumed(job, tmp_path):
    config = config_of(tmp_path, resume=True)
    settings = {**OmegaConf.to_container(config), "out": str(tmp_path / "b")}
    with Run(tmp_path / "b", stage="pretrain", config={k: v for k, v in settings.items() if k != "launcher"}):
        pass
    job(lambda *_: pytest.fail("must not start"))(config)
    assert read_outcome(tmp_path / ".sweep", 1)["status"] == "done before"
    job(lambda *_: None, labels=("b", "b"))(config_of(tmp_path, resume=True, seed=1))
    assert "seed was 0 and is now 1" in json.loads((tmp_path / ".sweep" / "1.json").read_text())["error"]


def test_what_a_run_says_goes_to_its_log(job, tmp_path, capsys):
    job(lambda *_: print("epoch 1"), logs=True)(config_of(tmp_path))
    assert (tmp_path / ".sweep" / "b.log").read_text() == "epoch 1\n"
    assert capsys.readouterr().out == "b: started\nb: done\n"


def test_it_can_be_sent_to_another_process():
    from ssl_robust.cli import _execute

    job = Job("audit", _execute, ("a",), "x", 2, False)
    assert pickle.loads(pickle.dumps(job)) == job
