import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.columns import read_table
from ssl_robust.report import render
from ssl_robust.run import UserError
from ssl_robust.settings import compose
from ssl_robust.transfer.stage import probe

EVIL = '<script>alert("x")</script>'
FAST = ["bootstrap.n_resamples=100", "few_draws=2", "few_labels=[0.2]"]


@pytest.fixture
def scans(tmp_path):
    """Three classes of grey 32-px scans of two scans a patient; brightness tells the classes apart."""
    rng = np.random.default_rng(0)
    arrays, lines = {}, ["split,row,patient"]
    for split, n in (("train", 36), ("val", 6), ("test", 24)):
        labels = np.arange(n) // 2 % 3
        noise = rng.normal(0, 12, (n, 32, 32))
        arrays[f"{split}_images"] = (60 + 60 * labels[:, None, None] + noise).clip(0, 255).astype(np.uint8)
        arrays[f"{split}_labels"] = labels[:, None].astype(np.uint8)
        lines += [f"{split},{row},Smith {split}{row // 2}" for row in range(n)]
    np.savez(tmp_path / "scans.npz", **arrays)
    (tmp_path / "index.csv").write_text("\n".join(lines) + "\n")
    return ["data=npz", f"data.path={tmp_path / 'scans.npz'}", f"data.index={tmp_path / 'index.csv'}",
            "data.columns.patient_id=patient", "encoder=resnet10t", "device=cpu", *FAST]  # fmt: skip


@pytest.fixture
def vectors(tmp_path):
    """60 vectors of two classes with hostile names, patients of two samples each."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    np.save(tmp_path / "E.npy", rng.normal(size=(60, 4)) + 9 * np.eye(4)[labels])
    splits = np.repeat(["train", "val", "test"], [30, 4, 26])
    table = pd.DataFrame({"sample_id": [f"=s{row}" for row in range(60)], "label": np.array(["a", EVIL])[labels],
                          "split": splits, "patient_id": [f"Mrs Smith {row // 2}" for row in range(60)]})  # fmt: skip
    table.to_csv(tmp_path / "L.csv", index=False)
    return ["data=embeddings", f"data.path={tmp_path / 'E.npy'}", f"data.labels={tmp_path / 'L.csv'}", *FAST]


def start(tmp_path, *overrides, name="probe"):
    return probe(compose("probe", [*overrides, f"out={tmp_path / name}"]))


def value(out, **wanted):
    wanted = {"minus": None, "measure": "balanced_accuracy", "protocol": "logistic", "features": "encoder"} | wanted
    (row,) = [row for row in json.loads((out / "probe.json").read_text())["rows"] if wanted.items() <= row.items()]
    return row["value"], row["low"], row["high"]


def test_an_untrained_encoder_beside_the_baselines(scans, tmp_path, capsys):
    out = start(tmp_path, *scans, "checkpoint=none")
    table = pd.read_csv(out / "probe.csv")
    assert set(table["features"]) == {"encoder", "random", "histogram"}
    assert list(dict.fromkeys(table["protocol"])) == ["knn", "logistic", "few 20%"]
    assert len(table) == (3 + 2) * 3 * 4
    assert value(out, minus="random") == (0, 0, 0)
    assert value(out, features="histogram") == (1, 1, 1)
    said = "".join(capsys.readouterr())
    assert "not shown to be better than a random encoder" in said
    assert "the test split has 12 patients" in said
    summary = json.loads((out / "probe.json").read_text())
    assert (summary["n_train"], summary["n_test"], summary["n_test_patients"]) == (36, 24, 12)
    assert [each["n_scans"] for each in summary["protocols"]] == [[36], [36], [6, 6]]
    assert summary["effective_rank"].keys() == {"encoder", "random", "histogram"}
    page = render(out).read_text(encoding="utf-8")
    for text in (page, said, (out / "predictions.csv").read_text(), (out / "probe.json").read_text()):
        assert "Smith" not in text
        assert str(tmp_path / "scans") not in text
    assert start(tmp_path, *scans, "checkpoint=none", "resume=true") == out
    with pytest.raises(UserError, match="already holds a finished probe run"):
        start(tmp_path, *scans, "checkpoint=none")


def test_the_random_twin_is_the_encoder_of_checkpoint_none(scans):
    from ssl_robust.encoders.resolve import open_encoder_and_scans
    from ssl_robust.transfer.baselines import random_twin

    encoder, opened = open_encoder_and_scans(compose("probe", [*scans, "checkpoint=none"]))
    twin, other = (random_twin(encoder, opened, seed=seed) for seed in (0, 1))
    batch = opened.batch(range(4)).images
    assert np.array_equal(twin(batch).detach(), encoder(batch).detach())
    assert not np.array_equal(other(batch).detach(), encoder(batch).detach())


def test_the_encoder_that_ships_is_called_by_its_name(scans, tmp_path, monkeypatch):
    from ssl_robust.encoders.checkpoint import describe, save_encoder
    from ssl_robust.encoders.encoder import create_encoder

    encoder = create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.5], std=[0.2])
    card = describe(encoder, resize="pad", method="byol", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(encoder, tmp_path / "shipped" / "tiny", card=card)
    (tmp_path / "shipped" / "default.txt").write_text("tiny")
    monkeypatch.setattr("ssl_robust.encoders.places.shipped_root", lambda: tmp_path / "shipped")
    out = start(tmp_path, *[each for each in scans if not each.startswith("encoder=")], "checkpoint=default")
    assert json.loads((out / "probe.json").read_text())["checkpoint"] == "tiny"
    assert json.loads((out / "run.json").read_text())["encoder"]["method"] == "byol"
    assert "resnet10t (tiny)" in render(out).read_text(encoding="utf-8")


def test_a_histogram_of_known_pixels():
    from ssl_robust.data.histogram import histogram

    pixels = np.zeros((3, 2, 2, 3), np.uint8)
    pixels[1, 0, 0] = (255, 4, 128)
    found = histogram(pixels).reshape(3, 3, 64) * 12
    assert found.sum(axis=2).round(5).tolist() == [[4] * 3] * 3
    assert found[1, 0, 63] == found[1, 1, 1] == found[1, 2, 32] == pytest.approx(1)
    deep = np.array([0, 65535, 1024, 1023], np.uint16).reshape(1, 2, 2, 1)
    assert (histogram(deep)[0, [0, 1, 63]] * 4).tolist() == [2, 1, 1]


def test_noise_hits_the_training_labels_alone(vectors, tmp_path):
    clean = start(tmp_path, *vectors)
    assert value(clean) == (1, 1, 1)
    noisy = start(tmp_path, *vectors, "noise=class_dependent", "noise.matrix=[[0,1],[1,0]]", name="noisy")
    assert value(noisy)[0] == value(noisy, protocol="knn")[0] == 0
    summary = json.loads((noisy / "probe.json").read_text())
    assert summary["noise"]["realised_rate"] == 1
    assert "100.0 % of the training labels were made wrong" in render(noisy).read_text(encoding="utf-8")


def test_ready_vectors_have_no_baselines_and_never_import_torch(vectors, tmp_path):
    code = (
        "import sys\nfrom ssl_robust.cli import run\n"
        f"code = run(['probe', *{vectors}, 'out={tmp_path}/o'])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\nsys.exit(code)"
    )
    said = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert "no random encoder and no histogram" in said.stderr
    predictions = read_table(tmp_path / "o" / "predictions.csv")
    assert predictions["sample_id"].tolist() == [f"=s{row}" for row in range(34, 60)] * 2
    assert (predictions["label"] == predictions["predicted"]).all()
    raw = (tmp_path / "o" / "predictions.csv").read_text()
    assert "\n=s" not in raw
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert EVIL not in page
    assert "Smith" not in page + raw


def test_an_embed_run_is_probed_as_it_is(scans, tmp_path):
    from ssl_robust.encoders.stage import embed_stage

    kept = [each for each in scans if each not in FAST]
    embed_stage(compose("embed", [*kept, "checkpoint=none", f"out={tmp_path / 'emb'}"]))
    ready = start(tmp_path, "data=embeddings", f"data.path={tmp_path / 'emb'}", *FAST, name="ready")
    straight = start(tmp_path, *scans, "checkpoint=none")
    assert value(ready)[0] == value(straight)[0]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["knn.k=0"], "knn.k=0 is no positive whole number"),
        (["knn.k=2.5"], "knn.k=2.5 is no positive whole number"),
        (["knn.temperature=0"], "knn.temperature=0 is not positive"),
        (["few_draws=0"], "few_draws=0 is no positive whole number"),
        (["few_labels=[1.5]"], "few_labels holds 1.5"),
        (["few_labels=0.1"], "few_labels=0.1 is no list"),
        (["few_labels=[0.1,0.1]"], "names a share twice"),
        (["bootstrap.level=2"], "bootstrap.level=2"),
        (["checkpoint=none"], "leave checkpoint= out"),
        (["data.columns.label=path"], "path"),
        (["data.columns.split=label"], "split"),
    ],
)
def test_mistakes(vectors, tmp_path, overrides, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        start(tmp_path, *vectors, *overrides)
    assert not (tmp_path / "probe").exists()


def rewrite(tmp_path, change):
    table = pd.read_csv(tmp_path / "L.csv", dtype=str)
    change(table).to_csv(tmp_path / "L.csv", index=False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.drop(columns="label"), "none of the 60 samples has a label"),
        (lambda t: t.drop(columns="split"), "names no split"),
        (lambda t: t.assign(split=t["split"].replace("test", "val")), "no labelled sample is in the split test"),
        (lambda t: t.assign(split=t["split"].replace("train", "val")), "no labelled sample is in the split train"),
        (lambda t: t.assign(patient_id="one"), "patients have samples in train and in test"),
        (lambda t: t.assign(label=t["label"].where(t["split"] != "train", "a")), "of one class"),
        (lambda t: t.assign(label=t["label"].where(t.index < 58, "c")), "class 'c' has test samples and no training"),
    ],
)
def test_what_cannot_be_measured_is_refused(vectors, tmp_path, change, sentence):
    rewrite(tmp_path, change)
    with pytest.raises(UserError, match=re.escape(sentence)):
        start(tmp_path, *vectors)
    assert not (tmp_path / "probe").exists()


def test_scans_need_a_checkpoint(scans, tmp_path):
    with pytest.raises(UserError, match="checkpoint= is missing"):
        start(tmp_path, *scans)


def test_same_command_same_table(vectors, tmp_path):
    one, other = (start(tmp_path, *vectors, name=name) / "probe.csv" for name in "ab")
    assert one.read_bytes() == other.read_bytes()
