import json
import sys

import numpy as np
import pytest

from ssl_robust.run import (
    Run,
    UserError,
    _git_revision,
    append_row,
    progress,
    read_json,
    read_run,
    replacing,
    write_json,
)

CONFIG = {"seed": 3, "encoder": "resnet18"}


def start(path, **how):
    return Run(path, stage=how.pop("stage", "pretrain"), config=CONFIG, **how)


def test_a_finished_run_describes_itself(tmp_path):
    with start(tmp_path / "a") as run:
        run.note(n_scans=7)
    described = read_run(tmp_path / "a", stage="pretrain")
    assert described["finished"]
    assert described["seed"] == 3
    assert described["n_scans"] == 7
    assert described["config"] == CONFIG
    assert described["packages"]["numpy"] == np.__version__
    assert (tmp_path / "a" / "config.yaml").read_text().startswith("seed: 3")


def test_a_machine_without_git_runs_too(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    _git_revision.cache_clear()
    with start(tmp_path / "a"):
        pass
    _git_revision.cache_clear()
    assert read_run(tmp_path / "a")["git_revision"] is None


def test_refuses_a_directory_with_another_run(tmp_path):
    with start(tmp_path / "a") as run:
        (run / "encoder.safetensors").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"already holds a finished pretrain run.*overwrite=true"):
        start(tmp_path / "a")
    assert (tmp_path / "a" / "encoder.safetensors").read_bytes() == b"precious"


def test_refuses_a_directory_with_other_files_even_to_overwrite(tmp_path):
    (tmp_path / "thesis.docx").write_bytes(b"precious")
    for how in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UserError, match="holds other files"):
            start(tmp_path, **how)
    assert (tmp_path / "thesis.docx").exists()


def test_resume_keeps_and_overwrite_replaces(tmp_path):
    with start(tmp_path / "a") as run:
        (run / "last.ckpt").write_bytes(b"state")
        run.note(n_scans=7)
    with start(tmp_path / "a", resume=True) as run:
        assert run.resumed
        assert (run / "last.ckpt").exists()
    assert read_run(tmp_path / "a")["n_scans"] == 7
    with start(tmp_path / "a", overwrite=True) as run:
        assert not run.resumed
        assert not (run / "last.ckpt").exists()


def test_resume_of_another_stage_is_refused(tmp_path):
    with start(tmp_path / "a"):
        pass
    with pytest.raises(UserError, match="holds a run of the stage pretrain, expected audit"):
        start(tmp_path / "a", stage="audit", resume=True)


def test_wall_time_adds_up_over_resumes(tmp_path):
    with start(tmp_path / "a"):
        pass
    write_json(tmp_path / "a" / "run.json", {**read_run(tmp_path / "a"), "wall_seconds": 100.0})
    with start(tmp_path / "a", resume=True):
        pass
    assert 100.0 <= read_run(tmp_path / "a")["wall_seconds"] < 160.0


def test_a_mistake_leaves_no_directory_behind(tmp_path):
    with pytest.raises(UserError), start(tmp_path / "a"):
        raise UserError("no labels")
    assert not (tmp_path / "a").exists()


def test_a_failure_keeps_what_was_reached(tmp_path):
    with pytest.raises(RuntimeError), start(tmp_path / "a") as run:
        (run / "last.ckpt").write_bytes(b"state")
        raise RuntimeError("out of memory")
    assert not read_run(tmp_path / "a")["finished"]
    assert (tmp_path / "a" / "last.ckpt").exists()


def test_replacing_is_all_or_nothing(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("old")
    with pytest.raises(RuntimeError), replacing(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_writers_of_the_same_process_number_do_not_share_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 1)
    with replacing(tmp_path / "a.npy") as one, replacing(tmp_path / "a.npy") as other:
        assert one != other
        for temporary in (one, other):
            assert temporary.suffix == ".npy"
            temporary.touch()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_colleagues_may_read_what_is_written(tmp_path):
    with replacing(tmp_path / "a.bin") as temporary:
        temporary.touch(mode=0o600)
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_takes_arrays_paths_and_nan(tmp_path):
    write_json(tmp_path / "a.json", {"x": np.arange(2), "y": np.float32(0.5), "z": float("nan"), "p": tmp_path})
    assert read_json(tmp_path / "a.json") == {"x": [0, 1], "y": 0.5, "z": None, "p": str(tmp_path)}


def test_rows_may_bring_new_columns(tmp_path):
    append_row(tmp_path / "m.csv", {"epoch": 0})
    append_row(tmp_path / "m.csv", {"epoch": 1, "loss": 0.5})
    assert (tmp_path / "m.csv").read_text().splitlines() == ["epoch,loss", "0,", "1,0.5"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "holds no run"),
        (lambda path: (path / "run.json").write_text("{"), "is not valid JSON"),
        (lambda path: (path / "run.json").write_text(json.dumps({"schema_version": 99})), "newer ssl-robust"),
    ],
)
def test_read_run_says_what_is_wrong(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        read_run(tmp_path)


def test_progress_speaks_in_plain_lines_away_from_a_terminal(capsys):
    assert list(progress(range(3), total=3, what="reading", every=0.0)) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["reading: 1 of 3", "reading: 2 of 3"]
