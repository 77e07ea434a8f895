import json
import os
import re
import shutil

import pandas as pd
import pytest

from ssl_robust.cli import run as main
from ssl_robust.run import read_json
from ssl_robust.settings import choices
from ssl_robust.study import frozen
from ssl_robust.study.table import columns

MEASURES = [f"{which}_{name}" for which in ("best", "last") for name in ("balanced_accuracy", "auroc", "ece")]
HELD = {"config.yaml", "metrics.csv", "metrics.json", "predictions.csv", "run.json"}


def cells(out):
    return pd.read_csv(out / "cells.csv")


def times(out):
    """When each file of each cell was last written."""
    return {file: file.stat().st_mtime_ns for file in (out / "cells").rglob("*") if file.is_file()}


def test_a_study_leaves_what_its_readers_expect(study):
    out = study()
    table = cells(out)
    assert list(table.columns) == columns()
    assert len(table) == 4
    for row in table.itertuples():
        home = out / row.cell
        assert {file.name for file in home.iterdir()} == HELD
        run, found = read_json(home / "run.json"), read_json(home / "metrics.json")
        assert (run["stage"], run["finished"], run["seed"]) == ("finetune", True, row.seed)
        assert found["best"]["balanced_accuracy"] == pytest.approx(row.best_balanced_accuracy)
        assert found["noise"]["realised_rate"] == pytest.approx(row.realised_rate)
        assert len(pd.read_csv(home / "metrics.csv")) == 2
    test = pd.read_csv(out / "sets" / "scans" / "test.csv")
    assert list(test.columns) == ["sample_id", "group", "label"]
    for row in table.itertuples():
        predictions = pd.read_csv(out / row.cell / "predictions.csv")
        assert predictions["sample_id"].tolist() == test["sample_id"].tolist()
        assert predictions["label"].tolist() == test["label"].tolist()
    (hard,) = pd.read_csv(out / "difficulty.csv").to_dict("records")
    assert (hard["set"], hard["init"]) == ("scans", "histogram")
    assert hard["knn_balanced_accuracy"] > 0.9
    about = read_json(out / "study.json")
    assert about["noises"] == [{"kind": "none", "rate": 0.0}, {"kind": "symmetric", "rate": 0.3}]
    assert (about["seeds"], about["mode"], about["failed"]) == ([0], "frozen", [])
    assert not re.search(r"/\w+/", json.dumps(about["commands"])), "a report must not hold paths"


def test_all_strategies_and_beginnings_get_the_same_labels(study):
    table = cells(study("inits=[histogram,random]", "encoder=resnet10t", "seeds=2"))
    shared = table.groupby(["set", "noise", "rate", "seed"])["labels"]
    assert (shared.size() == 4).all()
    assert (shared.nunique() == 1).all()
    assert table.loc[table["noise"] == "symmetric", "labels"].nunique() == 2, "each seed has labels of its own"


def test_plan_counts_and_writes_nothing(study, capsys):
    out = study("plan", "seeds=3")
    said = capsys.readouterr().out
    assert "12 cells, 0 of them done (frozen mode)" in said
    assert "by a rule" in said
    assert not out.exists()
    study()
    before = times(out), (out / "run.json").stat().st_mtime_ns, sorted(out.iterdir())
    study("plan", "seeds=3")
    said = capsys.readouterr().out
    assert "12 cells, 4 of them done" in said
    assert "as long as those that are done" in said
    assert (times(out), (out / "run.json").stat().st_mtime_ns, sorted(out.iterdir())) == before


def test_more_seeds_and_strategies_are_added_and_nothing_is_computed_again(study):
    out = study()
    before = times(out)
    study("seeds=2", "resume=true", "noises=[symmetric:0.2,none,symmetric:0.3]")
    assert len(cells(out)) == 12
    after = times(out)
    assert {file: after[file] for file in before} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [(["finetune.trainer.max_epochs=3"], "finetune was .*max_epochs=2.* and is now .*max_epochs=3"),
     (["noises=[none]"], "noises lacks symmetric:0.3, which the study holds"),
     (["encoder_seeds=2"], "encoder_seeds was 1 and is now 2"),
     (["inits=[random]"], "inits lacks histogram")],
)  # fmt: skip
def test_a_changed_study_is_refused_and_nothing_is_lost(study, capsys, words, message):
    out = study()
    before = times(out)
    capsys.readouterr()
    study("resume=true", *words, code=2)
    assert re.search(message, capsys.readouterr().err)
    study("plan", *words, code=2)
    assert times(out) == before
    assert len(cells(out)) == 4


def test_a_study_is_not_taken_for_another_stages_run(study, tmp_path, capsys):
    out = study()
    study(code=2)
    assert "already holds a finished study run" in capsys.readouterr().err
    run = read_json(out / "run.json")
    (out / "run.json").write_text(json.dumps({**run, "stage": "audit"}))
    study("resume=true", code=2)
    assert "holds a run of the stage audit, expected study" in capsys.readouterr().err


class Killed(BaseException):
    """What nothing catches."""


@pytest.mark.parametrize("moment", [4, 9, 14, 17, 24, 31])
def test_a_killed_study_goes_on_to_the_same_table(study, monkeypatch, moment, tmp_path):
    """Killed at a file that was to be written: in a set, features, or some cell's config, metrics or run.json."""
    whole = cells(study())
    (tmp_path / "study").rename(tmp_path / "whole")
    written, replace = [], os.replace

    def replacing(source, target):
        written.append(target)
        if len(written) >= moment:  # what is written in `finally` is lost as well
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", replacing)
        with pytest.raises(Killed):
            study()
    out = tmp_path / "study"
    done = {file: time for file, time in times(out).items() if read_json_or_none(file.parent / "run.json")}
    again = cells(study("resume=true"))
    assert {file: times(out)[file] for file in done} == done
    columns = ["cell", "labels", *MEASURES]
    pd.testing.assert_frame_equal(again[columns], whole[columns])
    assert {file.name for home in (out / "cells").iterdir() for file in home.iterdir()} == HELD


def read_json_or_none(path):
    """Whether a finished cell's run.json is there."""
    return path.is_file() and read_json(path).get("finished")


def test_ctrl_c_says_what_is_saved(study, monkeypatch, capsys):
    run, calls = frozen.FrozenCells.run, []

    def interrupted(self, cell):
        calls.append(cell)
        if len(calls) == 3:
            raise KeyboardInterrupt
        run(self, cell)

    monkeypatch.setattr(frozen.FrozenCells, "run", interrupted)
    out = study(code=2)
    assert "study holds 2 finished cells; the same command with resume=true continues" in capsys.readouterr().err
    assert len(cells(out)) == 2


def test_a_failed_cell_stops_no_other_and_is_tried_again(study, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr("ssl_robust.finetune.strategies.cross_entropy.CrossEntropy.losses", failing_if_smoothed)
        out = study(code=2)
    said = capsys.readouterr()
    assert "2 of 4 cells could not be computed" in said.err
    assert "not today" in said.err
    assert [each["error"] for each in read_json(out / "study.json")["failed"]] == ["RuntimeError: not today"] * 2
    assert set(cells(out)["strategy"]) == {"cross_entropy"}
    study("resume=true")
    assert len(cells(out)) == 4
    assert read_json(out / "study.json")["failed"] == []


def failing_if_smoothed(self, models, batches, epoch):
    from torch.nn import functional

    if self.label_smoothing:
        raise RuntimeError("not today")
    batch = batches[0]["train"]
    return [functional.cross_entropy(models[0](batch.images[0]), batch.labels)]


def test_report_makes_the_table_of_an_unfinished_study(study, capsys):
    out = study()
    (out / "cells.csv").unlink()
    run = read_json(out / "run.json")
    (out / "run.json").write_text(json.dumps({**run, "finished": False}))
    capsys.readouterr()
    assert main(["study", "report", f"out={out}"]) == 0
    assert "4 cells are done" in capsys.readouterr().out
    assert len(cells(out)) == 4
    assert main(["study", "report", f"out={out}", "seeds=2"]) == 2


def test_a_study_under_way_can_be_reported(study, monkeypatch):
    run, about = frozen.FrozenCells.run, []

    def watched(self, cell):
        about.append(read_json(self.material.out / "study.json"))
        run(self, cell)

    monkeypatch.setattr(frozen.FrozenCells, "run", watched)
    study()
    assert [each["n_cells"] for each in about] == [4] * 4


def test_cells_of_other_labels_or_another_encoder_are_not_mixed_in(study, capsys):
    out = study()
    for home in (out / "cells").glob("*none*"):
        shutil.rmtree(home)
    (table,) = (out / "labels").glob("*none*")
    kept, features = table.read_text(), next((out / "features").glob("*.json"))
    labels = pd.read_csv(table)
    labels.loc[0, "given_label"] = next(each for each in labels["label"] if each != labels["label"][0])
    labels.to_csv(table, index=False)
    study("resume=true", code=2)
    assert "holds other labels than this cell would get now" in capsys.readouterr().err
    table.write_text(kept)
    features.write_text(json.dumps({**read_json(features), "encoder_fingerprint": "another"}))
    study("resume=true", code=2)
    assert "is another encoder than the one that" in capsys.readouterr().err
    assert len(cells(out)) == 2


def test_a_noise_that_a_set_cannot_have_is_told_with_its_name(study, scans_file, tmp_path, capsys):
    sets = tmp_path / "sets.yaml"
    sets.write_text(f"three: [data=npz, 'data.path={scans_file}']\n")
    study("noises=[symmetric:0.7]", sets=sets, code=2)
    assert re.search(r"set three: noise=symmetric: .*0.7", capsys.readouterr().err)
    sets.write_text("three: [data=npz, data.pth=x]\n")
    study(sets=sets, code=2)
    assert "set three: finetune has no option data.pth" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_what_the_grid_has_a_list_for_is_not_passed_on(study, capsys):
    study("finetune.noise.rate=0.2", code=2)
    assert "finetune: noise.rate=0.2 is for the study itself to say" in capsys.readouterr().err
    study("finetune.trainer.max_epoch=2", code=2)
    assert "did you mean trainer.max_epochs" in capsys.readouterr().err


def test_a_frozen_cell_measures_what_finetune_does(study, scans_file, tmp_path):
    """The same labels, features, heads and order, whichever stage trains."""
    out = study("inits=[random]", "noises=[symmetric:0.3]", "strategies=[cross_entropy]", "encoder=resnet10t")
    frozen_settings = ["freeze=true", "trainer.max_epochs=2", "trainer.batch_size=16", "trainer.gradients=false",
                       "trainer.device=cpu"]  # fmt: skip
    data = ["data=npz", f"data.path={scans_file}", "noise=symmetric", "noise.rate=0.3", "checkpoint=none"]
    assert main(["finetune", *data, *frozen_settings, f"out={tmp_path / 'run'}"]) == 0
    (row,) = cells(out).to_dict("records")
    found = read_json(tmp_path / "run" / "metrics.json")
    for which in ("best", "last"):
        for name in ("balanced_accuracy", "auroc", "ece"):
            assert row[f"{which}_{name}"] == pytest.approx(found[which][name], abs=1e-6)


def test_workers_share_the_cells(study, monkeypatch, tmp_path):
    pytest.importorskip("concurrent.futures")
    alone = cells(study())
    (tmp_path / "study").rename(tmp_path / "alone")
    together = cells(study("workers=2"))
    pd.testing.assert_frame_equal(alone[["cell", *MEASURES]], together[["cell", *MEASURES]])


@pytest.mark.slow
def test_finetune_mode_pretrains_once_and_resumes(study, capsys):
    words = ["mode=finetune", "inits=[random,simclr]", "strategies=[cross_entropy]", "finetune.trainer.max_epochs=1",
             "finetune.trainer.batch_size=16", "pretrain.trainer.max_epochs=1", "pretrain.trainer.batch_size=16",
             "noises=[symmetric:0.3]"]  # fmt: skip
    out = study(*words)
    table = cells(out)
    assert set(table["init"]) == {"random", "simclr"}
    assert table["labels"].nunique() == 1
    assert table.set_index("init")["pretrain_seconds"].gt(0).to_dict() == {"random": False, "simclr": True}
    assert (out / table["cell"][0] / "classifier.safetensors").is_file()
    weights = (out / "encoders" / "scans-simclr" / "encoder.safetensors").stat().st_mtime_ns
    before = times(out)
    study(*words, "resume=true", "seeds=2")
    assert len(cells(out)) == 4
    assert {file: times(out)[file] for file in before} == before
    assert (out / "encoders" / "scans-simclr" / "encoder.safetensors").stat().st_mtime_ns == weights


def test_every_method_is_a_beginning():
    from ssl_robust.study.inits import read_inits

    assert all(init.is_method for init in read_inits(choices("method"), mode="frozen"))
