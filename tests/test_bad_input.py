"""Every mistake through the command line: one sentence that names the thing and the fix, exit code 2, nothing left."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from ssl_robust.cli import run

SMALL = ["encoder=regnetx_002", "trainer.max_epochs=1", "trainer.batch_size=8", "trainer.progress=false"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_ROBUST_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def scans(tmp_path):
    """Two classes of grey 32-px scans in a folder whose name is full of Hydra's own characters."""
    root = tmp_path / "Müller (2024)" / "a,b = 'c'"
    rng = np.random.default_rng(0)
    for name, level in (("ill", 90), ("well", 160)):
        (root / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.normal(level, 20, (32, 32)).clip(0, 255).astype(np.uint8)).save(
                root / name / f"{i}.png"
            )
    return root


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs a stage that must be refused; returns its one sentence."""

    def check(*arguments, out="refused"):
        assert run([*arguments, f"out={tmp_path / out}"]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        said = [line for line in error if line.startswith("ssl-robust: ")]
        assert len(said) == 1, error
        assert "Traceback" not in "".join(error)
        assert not (tmp_path / "refused").exists()
        return said[0]

    return check


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pretrain", "data=npz", "data.path=nowhere.npz", "method=simclr"], r"nowhere\.npz"),
        (["audit", "data=embeddings", "data.path=nowhere.npy", "data.labels=l.csv"], r"nowhere\.npy"),
        (["audit", "data=mura", "data.path=nowhere"], r"nowhere does not exist.*download it from https://stanfordml"),
        (["audit", "data=phantoms", "checkpoint=runs/nowhere"], r"nowhere"),
        (["pretrian"], r"did you mean pretrain"),
        (["pretrain", "data=embeddings", "data.path=E.npy", "method=simclr"], r"is for the audit.*needs scans"),
        (["pretrain", "data=phantoms", "method=simclr", "trainer.batch_size=1"], r"batch_size=1 .*at least 2"),
    ],
)
def test_what_is_not_there_or_cannot_work_is_named(refused, arguments, sentence):
    assert re.search(sentence, refused(*arguments))


def test_an_empty_folder(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refused("pretrain", "method=simclr", "data=folder", f"data.path={tmp_path}/empty")


def test_a_label_column_that_is_not_there(refused, scans):
    table = scans / "m.csv"
    table.write_text("path,diagnosis\n" + "".join(f"ill/{i}.png,a\n" for i in range(12)), encoding="utf-8")
    options = ["data=csv", f"data.path={table}", "checkpoint=none"]
    said = refused("audit", *options, "data.columns.label=diagnossis")
    assert "diagnossis" in said
    assert "diagnosis" in said.replace("diagnossis", "")
    assert "label" in refused("audit", *options)


def test_one_class_only(refused, scans):
    table = scans / "m.csv"
    table.write_text("path,label\n" + "".join(f"ill/{i}.png,ill\n" for i in range(12)), encoding="utf-8")
    options = ["data=csv", f"data.path={table}", "checkpoint=none"]
    assert "class" in refused("audit", *options, "encoder=regnetx_002")
    assert "class" in refused("finetune", *options, *SMALL)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["noise=symmetric", "noise.rate=0.5"], r"rate=0\.5 among 2 classes leaves nothing to learn"),
        (["noise=class_dependent", "noise.matrix=[[0.9,0.2],[0.1,0.9]]"], r"row 1 of matrix .* sum 1\.1"),
        (["noise=class_dependent", "noise.matrix=[[0,1],[0,1]]"], r"leaves no training scan labelled 'ill'"),
        (["noise=symmetric", "noise.seed=-1"], r"noise\.seed=-1 does not fit"),
        (["noise=recorded"], r"noise\.labels"),
        (["noise=recorded", "noise.labels=nowhere/labels.csv"], r"noise\.labels=nowhere/labels\.csv does not exist"),
        (["noise=recorded", "noise.lables=labels.csv"], r"did you mean noise\.labels"),
        (["data.long_tail=1000"], r"data\.long_tail=1000 leaves no training scan of the class '(ill|well)'"),
        (["data.long_tail=0.5"], r"data\.long_tail=0\.5 does not fit; expected .* from 1 on"),
        (["strategy=audit_clean", "strategy.mode=prune"], r"mode=prune; expected drop, weight or soften"),
        (["strategy=audit_clean", "strategy.keep_per_class=0"], r"keep_per_class=0; .* cannot be learnt"),
        (["strategy=audit_clean", "strategy.audit=nowhere"], r"strategy\.audit=nowhere does not exist"),
        (["strategy=audit_clean", "strategy.audits=nowhere"], r"did you mean strategy\.audit"),
    ],
)
def test_labels_that_cannot_be_had_are_refused(refused, scans, options, sentence):
    said = refused("finetune", "data=folder", f"data.path={scans}", "checkpoint=none", *SMALL, *options)
    assert re.search(sentence, said)


def test_an_audit_that_is_none(refused, scans, tmp_path):
    options = ["data=folder", f"data.path={scans}", "checkpoint=none", *SMALL, "strategy=audit_clean"]
    (tmp_path / "empty").mkdir()
    assert "holds no run" in refused("finetune", *options, f"strategy.audit={tmp_path / 'empty'}")
    (tmp_path / "empty" / "run.json").write_text('{"stage": "finetune", "schema_version": 1, "config": {}}')
    assert "expected audit" in refused("finetune", *options, f"strategy.audit={tmp_path / 'empty'}")


def test_a_class_with_one_sample_works(scans, tmp_path):
    for file in sorted((scans / "well").iterdir())[1:]:
        file.unlink()
    options = ["data=folder", f"data.path={scans}", "checkpoint=none", "encoder=regnetx_002"]
    assert run(["audit", *options, f"out={tmp_path / 'audit'}"]) == 0
    assert len((tmp_path / "audit" / "audit.csv").read_text().splitlines()) == 14


@pytest.mark.parametrize(
    ("rows", "labels", "spoil", "sentence"),
    [
        (20, 19, False, r"20.*19|19.*20"),
        (20, 20, True, r"(?i)nan|not finite|finite"),
    ],
)
def test_vectors_and_labels_that_do_not_fit(refused, tmp_path, rows, labels, spoil, sentence):
    vectors = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    if spoil:
        vectors[7, 2] = np.nan
    np.save(tmp_path / "E.npy", vectors)
    (tmp_path / "L.csv").write_text("label\n" + "".join(f"{'ab'[i % 2]}\n" for i in range(labels)))
    said = refused("audit", "data=embeddings", f"data.path={tmp_path}/E.npy", f"data.labels={tmp_path}/L.csv")
    assert re.search(sentence, said)
    assert not spoil or "7" in said


@pytest.fixture
def pretrained(scans, tmp_path):
    options = ["data=folder", f"data.path={scans}", "method=simclr", *SMALL]
    assert run(["pretrain", *options, f"out={tmp_path / 'ssl'}"]) == 0
    return tmp_path / "ssl"


def test_any_folder_name_works_and_a_second_run_does_not_touch_the_first(pretrained, scans, refused):
    weights = (pretrained / "encoder.safetensors").read_bytes()
    options = ["data=folder", f"data.path={scans}", "method=simclr", *SMALL]
    assert "overwrite=true" in refused("pretrain", *options, out="ssl")
    assert (pretrained / "encoder.safetensors").read_bytes() == weights


def test_a_checkpoint_that_does_not_fit(pretrained, scans, tmp_path, refused):
    for file in scans.rglob("*.png"):
        Image.open(file).convert("RGB").save(file)
    options = ["data=folder", f"data.path={scans}", f"checkpoint={pretrained}"]
    assert "data.channels" in refused("audit", *options, "data.channels=3")
    card = json.loads((pretrained / "encoder.json").read_text())
    (pretrained / "encoder.json").write_text(json.dumps({**card, "architecture": "resnet10t"}))
    assert "resnet10t" in refused("audit", *options)
    assert f"give the directory of the run, checkpoint={pretrained}" in refused(
        "audit", options[0], options[1], f"checkpoint={pretrained}/last.ckpt"
    )
    (pretrained / "encoder.json").unlink()
    assert "encoder.json" in refused("audit", *options)


def test_a_truncated_scan_among_good_ones_is_listed(scans, tmp_path, capsys, refused):
    broken = scans / "ill" / "0.png"
    broken.write_bytes(broken.read_bytes()[:200])
    options = ["data=folder", f"data.path={scans}", "method=simclr", *SMALL]
    assert "max_unreadable" in refused("pretrain", *options)
    assert run(["pretrain", *options, "data.max_unreadable=0.1", f"out={tmp_path / 'ok'}"]) == 0
    assert "ill/0.png" in "".join(capsys.readouterr())
    unreadable = json.loads((tmp_path / "ok" / "run.json").read_text())["unreadable"]
    assert [each["sample_id"] for each in unreadable] == ["ill/0.png"]


def test_imagenet_without_a_network(refused, scans, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = refused("audit", "data=folder", f"data.path={scans}", "checkpoint=imagenet", "encoder=regnetx_002")
    assert "encoder_file" in said


def test_a_traceback_only_where_it_was_asked_for(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="nowhere"):
        run(["pretrain", "data=npz", "data.path=nowhere.npz", "method=simclr"])


@pytest.mark.slow
def test_ctrl_c_says_what_is_saved_and_how_to_go_on(scans, tmp_path):
    options = [*SMALL, "trainer.max_epochs=5000", "method=simclr", "data=folder", f"data.path={scans}"]
    command = [sys.executable, "-m", "ssl_robust.cli", "pretrain", *options, f"out={tmp_path / 'ssl'}"]
    # A shell's background job ignores SIGINT and hands that down; a person's terminal does not.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "ssl" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "resume=true" in error
    assert "last.ckpt" in error
    assert "Traceback" not in error
