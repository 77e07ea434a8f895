import numpy as np
import pytest

from ssl_robust.encoders.checkpoint import load_encoder
from ssl_robust.encoders.fingerprints import encoder_fingerprint
from ssl_robust.files import append_row, read_columns, read_json
from ssl_robust.pretrain import selection
from ssl_robust.pretrain.checkpoints import Checkpoints
from ssl_robust.pretrain.selection import check_selection, choose, epoch_of
from ssl_robust.pretrain.stage import pretrain
from ssl_robust.run import UserError

NAN = np.nan


def rows(**columns):
    return {"epoch": np.arange(5.0), **{name: np.array(values) for name, values in columns.items()}}


def test_each_criterion_takes_its_best_epoch():
    told = rows(
        knn_balanced_accuracy=[0.9, 0.5, 0.7, 0.7, 0.6],  # the untrained encoder is no candidate
        effective_rank=[1, 2, NAN, 9, 3],
        lidar=[1, 8, 2, NAN, 3],
        spectral_decay=[1.0, 2.5, 1.2, 0.7, 0.1],  # 1 is best
    )
    assert choose(told) == {"knn": 3, "rankme": 3, "lidar": 1, "alpha_req": 2}
    assert epoch_of("lidar", told) == 1
    assert epoch_of("last", told) == 4


def test_what_is_not_told_is_not_chosen():
    told = rows(effective_rank=[NAN, 1, 2, 3, 2], knn_balanced_accuracy=[0.5, NAN, NAN, NAN, NAN])
    assert choose(told) == {"rankme": 3}
    assert epoch_of("knn", told) == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"select": "loss"}, "monitor.select=loss is unknown"), ({"keep": "some"}, "monitor.keep=some is unknown"),
     ({"select": "knn", "keep": "none"}, "monitor.select=knn needs the encoder that it chooses")],
)  # fmt: skip
def test_a_selection_that_cannot_be_is_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        check_selection({"select": "last", "keep": "chosen", **change})


def kept(run):
    return {int(each.name) for each in (run / "snapshots").iterdir()}


def test_the_run_keeps_what_criteria_choose_and_leaves_the_selected_encoder(config):
    run = pretrain(config("monitor.every=1", "monitor.select=rankme", "trainer.max_epochs=4"))
    told = read_columns(run / "metrics.csv")
    chosen = choose(told)
    assert set(chosen) == {"knn", "rankme", "lidar", "alpha_req"}
    assert kept(run) == set(chosen.values())
    facts = read_json(run / "run.json")
    assert facts["chosen"] == chosen
    assert facts["epoch"] == chosen["rankme"]
    left = load_encoder(run)
    assert left.card.epochs == chosen["rankme"]
    best = load_encoder(run / "snapshots" / f"{chosen['rankme']:04d}")
    assert encoder_fingerprint(left) == encoder_fingerprint(best)


def test_an_encoder_is_dropped_once_the_state_after_its_successor_is_saved(config, monkeypatch, tmp_path):
    # A run that is killed between the two, and goes on with other processes, may want the earlier one again.
    monkeypatch.setattr(selection, "choose", lambda rows: {"rankme": int(rows["epoch"][-1])})
    save = Checkpoints.save

    def killed(self, out, place):
        if place.epoch == 3:
            raise KeyboardInterrupt
        save(self, out, place)

    monkeypatch.setattr(Checkpoints, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config("monitor.every=1"))
    assert kept(tmp_path / "run") == {2, 3}
    monkeypatch.setattr(Checkpoints, "save", save)
    assert kept(pretrain(config("monitor.every=1", "resume=true"))) == {3}


def test_a_criterion_that_could_not_be_told_is_not_said_to_have_chosen(config, capsys):
    # Fewer scans than a spectrum's decay can be read off.
    run = pretrain(config("monitor.select=alpha_req", "monitor.queries=5", "trainer.max_epochs=1"))
    assert "is that of epoch 1 of 1, since alpha_req could not be told on these scans" in capsys.readouterr().out
    assert load_encoder(run).card.epochs == 1
    assert "alpha_req" not in read_json(run / "run.json")["chosen"]


def test_all_or_no_encoders_can_be_kept(config):
    run = pretrain(config("monitor.every=1", "monitor.keep=all"))
    assert kept(run) == {1, 2, 3}
    last = load_encoder(run / "snapshots" / "0003")
    assert encoder_fingerprint(load_encoder(run)) == encoder_fingerprint(last)
    run = pretrain(config("monitor.keep=none", "trainer.max_epochs=1", "overwrite=true"))
    assert not (run / "snapshots").exists()


def test_knn_without_labels_is_refused_before_training(config, scans_file, tmp_path):
    with np.load(scans_file) as file:
        np.savez(tmp_path / "unlabelled.npz", **{name: file[name] for name in file if name.endswith("images")})
    with pytest.raises(UserError, match=r"monitor\.select=knn needs labels"):
        pretrain(config("monitor.select=knn", f"data.path='{tmp_path / 'unlabelled.npz'}'"))
    assert not (tmp_path / "run").exists()


def test_columns_of_a_file_that_grew(tmp_path):
    append_row(tmp_path / "metrics.csv", {"epoch": 0})
    append_row(tmp_path / "metrics.csv", {"epoch": 1, "loss": 0.5})
    told = read_columns(tmp_path / "metrics.csv")
    assert told["epoch"].tolist() == [0, 1]
    assert np.isnan(told["loss"][0])
    assert told["loss"][1] == 0.5
