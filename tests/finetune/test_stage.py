import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from ssl_robust.data.scanset import open_scans
from ssl_robust.encoders.checkpoint import describe, load_encoder, save_encoder
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.encoders.fingerprints import write_seen
from ssl_robust.finetune import job as job_module
from ssl_robust.finetune.classifier import load_classifier
from ssl_robust.finetune.stage import finetune
from ssl_robust.finetune.strategies.cross_entropy import CrossEntropy
from ssl_robust.run import UserError, read_json, write_json
from ssl_robust.settings import choices

NOISE = ["noise=symmetric", "noise.rate=0.3"]


def read(out):
    predictions = pd.read_csv(out / "predictions.csv")
    return json.loads((out / "metrics.json").read_text()), pd.read_csv(out / "metrics.csv"), predictions


def test_artefacts_agree_with_one_another(config):
    settings = config(*NOISE)
    out = finetune(settings)
    values, curves, predictions = read(out)
    labels = pd.read_csv(out / "labels.csv", dtype={"label": str, "given_label": str})
    assert (labels["is_corrupted"] == (labels["label"] != labels["given_label"])).all()
    assert not labels.loc[labels["split"] == "test", "is_corrupted"].any()
    realised = labels.loc[labels["split"] != "test", "is_corrupted"].mean()
    assert values["noise"]["realised_rate"] == pytest.approx(realised)
    assert values["noise"] | {"transition": None, "realised_rate": None} == {
        "kind": "symmetric", "rate": 0.3, "realised_rate": None, "transition": None}  # fmt: skip
    best = curves.set_index("epoch").loc[values["best"]["epoch"]]
    assert best["val_balanced_accuracy"] == curves["val_balanced_accuracy"].max()
    assert best["test_balanced_accuracy"] == pytest.approx(values["best"]["balanced_accuracy"])
    low, high = values["best"]["balanced_accuracy_interval"]
    assert low <= values["best"]["balanced_accuracy"] <= high
    assert values["last"]["ece"] == pytest.approx(curves["test_ece"].mean())
    assert (predictions["predicted"] == predictions["label"]).mean() == pytest.approx(values["best"]["accuracy"])
    np.testing.assert_allclose(predictions[["p_0", "p_1", "p_2"]].sum(axis=1), 1, atol=1e-5)
    assert predictions["sample_id"].tolist() == labels.loc[labels["split"] == "test", "sample_id"].tolist()
    dynamics = np.load(out / "dynamics.npz")
    assert dynamics["loss"].shape == (2, 36)
    assert dynamics["vog"].shape == (36,)
    assert (dynamics["vog"] > 0).all()
    assert str(out) not in (out / "classifier.json").read_text()


@pytest.mark.parametrize("freeze", ["true", "false"])
def test_saved_classifier_gives_the_predictions_of_the_best_epoch(config, freeze):
    settings = config(f"freeze={freeze}")
    out = finetune(settings)
    _, _, predictions = read(out)
    (model,), card = load_classifier(out)
    assert card["classes"] == ["0", "1", "2"]
    assert card["encoder"]["in_chans"] == 1
    scans = open_scans(settings.data)
    with torch.no_grad():
        p = model(scans.batch(scans.manifest.rows("test")).images).softmax(dim=1)
    np.testing.assert_allclose(p, predictions[["p_0", "p_1", "p_2"]], atol=2e-3)
    del card["encoder"]["std"]
    write_json(out / "classifier.json", card)
    with pytest.raises(UserError, match=r"classifier\.json lacks std"):
        load_classifier(out)


def test_the_card_tells_how_the_scans_were_prepared_here(config, tmp_path):
    options = [ssl_run(tmp_path / "ssl", 0), "freeze=true", "data.image_size=24", "data.resize=squash"]
    (model,), card = load_classifier(finetune(config(*options)))
    assert (card["encoder"]["input_size"], card["encoder"]["resize"]) == (24, "squash")
    assert model.encoder.input_size == 24


def test_the_card_names_the_strategy_as_its_file_does(config):
    out = finetune(config("freeze=true", "strategy=mae", "trainer.max_epochs=1"))
    assert load_classifier(out)[1]["strategy"] == "mae"


def test_features_that_a_frozen_encoder_gave_are_not_computed_again(config, monkeypatch):
    monkeypatch.setattr("ssl_robust.finetune.job.train_features", lambda *_: pytest.fail("computed again"))
    finetune(config("freeze=true", "strategy=reweight", "trainer.max_epochs=1"))


@pytest.mark.parametrize("strategy", ["coteaching", "coteaching_vog", "dividemix"])
def test_two_networks_on_frozen_features_are_saved_and_predict_alike(config, strategy):
    settings = config("freeze=true", f"strategy={strategy}", *NOISE)
    out = finetune(settings)
    models, card = load_classifier(out)
    assert card["n_models"] == len(models) == 2
    scans = open_scans(settings.data)
    images = scans.batch(scans.manifest.rows("test")).images
    with torch.no_grad():
        p = torch.stack([model(images).softmax(dim=1) for model in models]).mean(dim=0)
    np.testing.assert_allclose(p, read(out)[2][["p_0", "p_1", "p_2"]], atol=2e-3)


def test_it_learns(config):
    out = finetune(config("freeze=true", "trainer.max_epochs=20", "optim.lr=0.05"))
    assert read(out)[0]["best"]["balanced_accuracy"] > 0.8


@pytest.mark.parametrize("strategy", choices("strategy"))
def test_killed_and_resumed_equals_uninterrupted_for_every_strategy(config, strategy, monkeypatch):
    overrides = [f"strategy={strategy}", "trainer.max_epochs=3", *NOISE]
    whole = finetune(config(*overrides, out="whole"))

    class Killed(Exception):
        pass

    def killed(self, epoch, display, train=job_module.Loop.epoch):
        if epoch == 2:
            raise Killed
        return train(self, epoch, display)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(job_module.Loop, "epoch", killed)
        finetune(config(*overrides, out="parts"))
    torch.rand(3)  # the state of torch's own generator must not matter
    parts = finetune(config(*overrides, "resume=true", out="parts"))
    ours, theirs = (torch.load(out / "last.ckpt", weights_only=True) for out in (whole, parts))
    for one, other in zip(ours["loop"]["models"], theirs["loop"]["models"], strict=True):
        for key, value in one.items():
            assert torch.equal(value, other[key]), key
    assert ours["loop"]["strategy"].keys() == theirs["loop"]["strategy"].keys()
    for key, value in ours["loop"]["strategy"].items():
        assert torch.equal(value, theirs["loop"]["strategy"][key]), key
    drop = ["seconds"]
    pd.testing.assert_frame_equal(read(whole)[1].drop(columns=drop), read(parts)[1].drop(columns=drop))
    assert read(whole)[0] == read(parts)[0]
    assert (whole / "predictions.csv").read_bytes() == (parts / "predictions.csv").read_bytes()
    ours, theirs = (np.load(out / "dynamics.npz") for out in (whole, parts))
    assert set(ours) == set(theirs) == {"loss", "margin", "rows", "vog"}
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_recording_gradients_changes_nothing_else_and_can_be_left_out(config):
    on, off = (finetune(config("freeze=true", f"trainer.gradients={value}", out=value)) for value in ("true", "false"))
    assert read(on)[0] == read(off)[0]
    assert "vog" not in np.load(off / "dynamics.npz")
    with pytest.raises(UserError, match=r"trainer\.gradients=yep does not fit; expected true or false"):
        finetune(config("trainer.gradients=yep", out="yep"))


def test_resume_refuses_another_recipe(config):
    finetune(config("trainer.max_epochs=1"))
    with pytest.raises(UserError, match=r"noise\.rate"):
        finetune(config("trainer.max_epochs=1", "resume=true", *NOISE))
    with pytest.raises(UserError, match="already holds a finished finetune run"):
        finetune(config("trainer.max_epochs=1"))


def ssl_run(place, seed, scans=None, rows=()):
    """A directory as `pretrain` leaves it."""
    torch.manual_seed(seed)
    encoder = create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.4], std=[0.2])
    card = describe(encoder, resize="pad", method="x", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(encoder, place, card=card)
    if scans is not None:
        write_seen(scans, np.asarray(rows), place)
    return f"checkpoint='{place}'"


def test_resume_refuses_another_encoder(config, tmp_path):
    one, copy, other = (ssl_run(tmp_path / name, seed) for name, seed in (("a", 0), ("copy", 0), ("b", 1)))
    options = ["trainer.max_epochs=1", "freeze=true"]
    finetune(config(*options, one))
    finetune(config(*options, copy, "resume=true"))
    with pytest.raises(UserError, match=r"checkpoint=.*b is another encoder than before"):
        finetune(config(*options, other, "resume=true"))


def test_weights_that_were_stored_in_half_are_trained_and_kept_whole(config, tmp_path):
    place = ssl_run(tmp_path / "ssl", 0).partition("=")[2].strip("'")
    half = replace(load_encoder(place).card, weights_dtype="float16")
    save_encoder(load_encoder(place), place, card=half)
    out = finetune(config("trainer.max_epochs=1", "freeze=true", f"checkpoint='{place}'"))
    (model,), card = load_classifier(out)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert card["encoder"]["weights_dtype"] == "float32"


def test_test_scans_that_the_encoder_was_pretrained_on_are_counted(config, tmp_path, capsys):
    options = ["trainer.max_epochs=1", "freeze=true"]
    scans = open_scans(config().data)
    train, test = scans.manifest.rows("train"), scans.manifest.rows("test")
    clean = ssl_run(tmp_path / "clean", 0, scans, train)
    assert read(finetune(config(*options, clean, out="1")))[0]["n_test_pretrained_on"] == 0
    assert "pretrained" not in capsys.readouterr().err
    leaky = ssl_run(tmp_path / "leaky", 0, scans, [*train, *test[:4]])
    out = finetune(config(*options, leaky, out="2"))
    assert "on 4 of the 15 test scans" in capsys.readouterr().err
    assert read(out)[0]["n_test_pretrained_on"] == read_json(out / "run.json")["n_test_pretrained_on"] == 4
    out = finetune(config(*options, leaky, "data.image_size=24", out="3"))
    assert "cannot be told" in capsys.readouterr().err
    assert read(out)[0]["n_test_pretrained_on"] is None
    assert read(finetune(config(*options, ssl_run(tmp_path / "old", 0), out="4")))[0]["n_test_pretrained_on"] is None


def test_no_true_label_reaches_a_batch_or_the_strategy(config, monkeypatch):
    """The given labels of the training split are all that a strategy ever sees."""
    seen = {}
    start, losses = CrossEntropy.start, CrossEntropy.losses

    def spy_start(self, info):
        seen["info"] = info.labels.numpy().copy()
        start(self, info)

    def spy_losses(self, models, batches, epoch):
        batch = batches[0]["train"]
        assert batch._fields == ("images", "labels", "indices")
        assert batch.images.shape[:3] == (1, len(batch.labels), 1)
        np.testing.assert_array_equal(batch.labels, seen["info"][batch.indices])
        seen.setdefault("shown", []).extend(batch.indices.tolist())
        return losses(self, models, batches, epoch)

    monkeypatch.setattr(CrossEntropy, "start", spy_start)
    monkeypatch.setattr(CrossEntropy, "losses", spy_losses)
    out = finetune(config(*NOISE, "trainer.max_epochs=1"))
    table = pd.read_csv(out / "labels.csv").query("split == 'train'")
    assert table["is_corrupted"].any()
    np.testing.assert_array_equal(seen["info"], table["given_label"])
    assert sorted(seen["shown"]) == list(range(36))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.batch_size=1"], "trainer.batch_size=1"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0"),
        (["interval.level=95"], "interval.level=95"),
        (["noise=symmetric", "noise.rate=0.7"], "noise=symmetric: rate=0.7"),
        (["crop.size=0"], "strategy, views or optim"),
    ],
)
def test_an_option_that_does_not_fit_leaves_nothing_behind(config, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        finetune(config(*overrides))
    assert not (tmp_path / "run").exists()


def test_another_logger_gets_the_rows(config, monkeypatch):
    rows = []

    class Stand:
        finalize = staticmethod(lambda status: rows.append(status))
        log_metrics = staticmethod(lambda row, step: rows.append((step, row["loss"])))

    monkeypatch.setattr(job_module, "make_loggers", lambda *_: [Stand])
    table = pd.read_csv(finetune(config()) / "metrics.csv")
    assert [each[0] for each in rows[:-1]] == list(table["epoch"])
    assert [each[1] for each in rows[:-1]] == pytest.approx(list(table["loss"]))
    assert rows[-1] == "success"
