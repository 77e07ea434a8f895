import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from answering import said
from campaigns import make_audit, make_campaign
from PIL import Image

from ssl_robust.data.columns import read_table
from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.files import UserError
from ssl_robust.overrides import check
from ssl_robust.quoting import quote_paths
from ssl_robust.relabel.apply import command
from ssl_robust.relabel.corrected import corrected
from ssl_robust.run import Run
from ssl_robust.settings import defaults

EVIL = "=cmd() (2024), it's.png"


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        place = tmp_path / "scans" / ("benign" if number % 2 else "malignant")
        place.mkdir(parents=True, exist_ok=True)
        name = EVIL if number == 3 else f"p{number // 2}-{number}.png"
        Image.fromarray(np.full((8, 8), 40 * number, np.uint8)).save(place / name)
    return data_settings("folder", path=str(tmp_path / "scans"), ids="plain", patient_pattern=r"(p\d)-")


@pytest.fixture
def csv(tmp_path, folder):
    rows = load_manifest(folder).table
    table = pd.DataFrame({"path": rows["path"], "finding": rows["label"], "person": ["a", "a", "b", "c", "c", "d"]})
    table.to_csv(tmp_path / "scans" / "labels.csv", index=False)
    return data_settings("csv", path=str(tmp_path / "scans" / "labels.csv"),
                         columns={"label": "finding", "patient_id": "person"})  # fmt: skip


@pytest.fixture
def npz(tmp_path):
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    np.savez(tmp_path / "s.npz", train_images=images, train_labels=[0, 1, 0, 1], test_images=images[:2],
             test_labels=[1, 0])  # fmt: skip
    pd.DataFrame({"group_id": list("aabbcd")}).to_csv(tmp_path / "i.csv", index=False)
    return data_settings("npz", path=str(tmp_path / "s.npz"), index=str(tmp_path / "i.csv"),
                         classes=["benign", "malignant"], columns={"patient_id": "group_id"})  # fmt: skip


@pytest.fixture
def phantoms():
    return data_settings("phantoms", n_patients=6, scans_per_patient=2, size=32)


def answered(tmp_path, data, answers, **options):
    """A campaign on an audit of `data` with answers to its scans: number of the scan -> label."""
    made = make_audit(tmp_path / "audit", data)
    campaign = make_campaign(tmp_path / "review", tmp_path / "audit", **options)
    ids, labels = made["sample_id"].tolist(), made["label"].tolist()
    campaign.ledger().extend(said(ids[row], answer, given=labels[row]) for row, answer in answers.items())
    return campaign, ids, labels


@pytest.mark.parametrize("kind", ["folder", "csv", "npz", "phantoms"])
def test_corrected_labels_come_back_over_the_same_scans(tmp_path, request, capsys, kind):
    data = request.getfixturevalue(kind)
    before = load_manifest(data)
    labels = before.table["label"].tolist()
    other = next(name for name in before.classes if name != labels[1])
    answers = {0: labels[0], 1: other, 3: None}
    answered(tmp_path, data, answers)
    out = tmp_path / "new labels.csv"
    command([f"run={tmp_path / 'review'}", f"out={out}"])
    told = capsys.readouterr().out
    assert "1 labels corrected, 1 confirmed, 1 of which nobody was sure keep their label" in told
    train, audit = (shlex.split(each)[2:] for each in told.splitlines()[-2:])
    assert train[:-1] == audit[:-1]
    config, _ = check("audit", quote_paths(audit, sweep=False))
    assert config.out == f"{tmp_path / 'review'}-audit"
    after = load_manifest(config.data)
    assert after.table["label"].tolist() == [labels[0], other, *labels[2:]]
    pd.testing.assert_frame_equal(after.table.drop(columns="label"), before.table.drop(columns="label"))
    assert (after.classes, after.source.fingerprint) == (before.classes, before.source.fingerprint)
    assert load_manifest(data).fingerprint == before.fingerprint, "what was there stays"


def test_the_table_tells_who_read_what(tmp_path, folder):
    campaign, ids, labels = answered(tmp_path, folder, {0: "malignant", 1: "benign", 2: "benign"})
    command([f"run={campaign.place}", f"out={tmp_path / 'c.csv'}"])
    table = read_table(tmp_path / "c.csv")
    assert table["sample_id"].tolist() == ids
    assert f"benign/{EVIL}" in ids
    assert table["label_before"].tolist() == labels
    assert table["read_by"].fillna("").tolist() == ["Ann"] * 3 + [""] * 3
    assert table["n_readers"].tolist() == ["1"] * 3 + ["0"] * 3
    assert table["read_at"].notna().tolist() == [True] * 3 + [False] * 3
    assert (campaign.place / "answers.csv").is_file()


def test_the_table_of_a_folder_is_a_manifest_by_itself(tmp_path, folder):
    campaign, _, _ = answered(tmp_path, folder, {1: "malignant"})
    command([f"run={campaign.place}", f"out={tmp_path / 'c.csv'}"])
    alone = load_manifest(data_settings("csv", path=str(tmp_path / "c.csv"), root=folder["path"]))
    with_labels = load_manifest({**folder, "labels": str(tmp_path / "c.csv")})
    pd.testing.assert_frame_equal(alone.table, with_labels.table)


def test_an_npz_takes_the_table_as_its_index_too(tmp_path, npz):
    campaign, _, _ = answered(tmp_path, npz, {1: "benign"})
    command([f"run={campaign.place}", f"out={tmp_path / 'c.csv'}"])
    index = {"index": str(tmp_path / "c.csv"), "columns": {**npz["columns"], "patient_id": None, "label": "label"}}
    after = load_manifest({**npz, **index})
    assert after.table["label"].tolist() == ["benign", "benign", "benign", "malignant", "malignant", "benign"]
    assert after.groups().tolist() == load_manifest(npz).groups().tolist()


def test_vectors_take_it_line_by_line(tmp_path, capsys):
    np.save(tmp_path / "e.npy", np.eye(4, dtype=np.float32))
    pd.DataFrame({"finding": list("abab"), "person": list("wxyz")}).to_csv(tmp_path / "l.csv", index=False)
    own = defaults("data", "embeddings")
    data = {**own, "path": str(tmp_path / "e.npy"), "labels": str(tmp_path / "l.csv"),
            "columns": {**own["columns"], "label": "finding", "patient_id": "person"}}  # fmt: skip
    make_audit(tmp_path / "audit", data, checkpoint=None)
    campaign = make_campaign(tmp_path / "review", tmp_path / "audit")
    assert campaign.data is None
    campaign.ledger().append(said("2", "b"))
    command([f"run={campaign.place}", f"out={tmp_path / 'c.csv'}"])
    told = capsys.readouterr().out
    assert "ssl-robust train" not in told, "there are no scans"
    line = next(each for each in told.splitlines() if each.startswith("  ssl-robust audit "))
    config, _ = check("audit", quote_paths(shlex.split(line)[2:], sweep=False))
    from ssl_robust.encoders.ready_vectors import read_vectors

    _, manifest = read_vectors(config, unknown_split="train")
    assert manifest.table["label"].tolist() == ["a", "b", "b", "b"]
    assert manifest.table["patient_id"].tolist() == list("wxyz")


def test_labels_that_an_audit_made_wrong_are_those_that_are_corrected(tmp_path, phantoms, capsys):
    truth = load_manifest(phantoms).table
    other = next(name for name in truth["label"].unique() if name != truth["label"][0])
    made = make_audit(tmp_path / "audit", phantoms, labels=dict.fromkeys(truth["sample_id"][:2], other), noise={"k": 1})
    campaign = make_campaign(tmp_path / "review", tmp_path / "audit")
    campaign.ledger().append(said(made["sample_id"][0], truth["label"][0], given=other))
    table = corrected(campaign, phantoms, rule="majority", unsure="keep").table
    assert table["label"].tolist() == [truth["label"][0], other, *truth["label"][2:]]
    assert table["label_before"].tolist() == [other, other, *truth["label"][2:]]
    assert not capsys.readouterr().err
    make_audit(tmp_path / "plain", phantoms, labels={truth["sample_id"][0]: other})
    again = make_campaign(tmp_path / "again", tmp_path / "plain")
    again.ledger().append(said(made["sample_id"][0], truth["label"][0], given=other))
    corrected(again, phantoms, rule="majority", unsure="keep")
    assert "1 labels of the data are not those that were audited" in capsys.readouterr().err


def test_a_scan_that_the_audit_left_out_keeps_its_label(tmp_path, phantoms):
    names = load_manifest(phantoms).table["sample_id"].tolist()
    make_audit(tmp_path / "audit", phantoms, left_out=names[:1])
    campaign = make_campaign(tmp_path / "review", tmp_path / "audit")
    campaign.ledger().append(said(names[1], "benign"))
    table = corrected(campaign, phantoms, rule="majority", unsure="keep").table
    assert table["sample_id"].tolist() == names
    assert table["label"].notna().all()


def test_unsure_can_take_a_label_away(tmp_path, folder):
    campaign, _, _ = answered(tmp_path, folder, {0: None, 1: "benign"})
    command([f"run={campaign.place}", f"out={tmp_path / 'c.csv'}", "unsure=drop"])
    table = load_manifest({**folder, "labels": str(tmp_path / "c.csv")}).table
    assert table["label"].isna().tolist() == [True] + [False] * 5


def test_a_label_changes_once_as_many_readers_as_asked_for_have_looked(tmp_path, folder):
    campaign, ids, labels = answered(tmp_path, folder, {0: "malignant", 1: None, 2: "malignant"}, readers=2)
    ledger = campaign.ledger()
    made = corrected(campaign, folder, rule="majority", unsure="drop")
    assert made.table["label"].tolist() == labels
    assert (made.n_changed, made.n_confirmed, made.n_unsure, made.n_open) == (0, 0, 0, 3)
    ledger.extend(
        [said(ids[0], "malignant", by="Ben"), said(ids[1], "malignant", by="Ben"), said(ids[2], "benign", by="Ben")]
    )
    made = corrected(campaign, folder, rule="majority", unsure="drop")
    assert made.table["label"].tolist() == ["malignant", "malignant", *labels[2:]]
    assert (made.n_changed, made.n_confirmed, made.n_unsure, made.n_open) == (2, 0, 0, 1)
    ledger.append(said(ids[2], "malignant", by="Cleo", shown="adjudication"))
    assert corrected(campaign, folder, rule="majority", unsure="drop").table["label"][2] == "malignant"


def test_what_cannot_be_applied_is_said(tmp_path, folder, csv, capsys):
    make_audit(tmp_path / "audit", csv)
    campaign = make_campaign(tmp_path / "review", tmp_path / "audit")
    words = [f"run={campaign.place}", f"out={tmp_path / 'c.csv'}"]
    with pytest.raises(UserError, match="holds no answer yet"):
        command(words)
    campaign.ledger().append(said("elsewhere/x.png", "benign"))
    with pytest.raises(UserError, match="are of other scans"):
        command(words)
    campaign.ledger().append(said(load_manifest(csv).table["sample_id"][0], "benign"))
    command(words)
    with pytest.raises(UserError, match="c.csv is there already.*overwrite=true"):
        command(words)
    (tmp_path / "review-train").mkdir()
    command([*words, "overwrite=true"])
    assert f"out={tmp_path / 'review-train-2'}" in capsys.readouterr().out
    own = csv["path"]
    before = Path(own).read_bytes()
    with pytest.raises(UserError, match="is what data.path reads"):
        command([words[0], f"out={own}", "overwrite=true"])
    assert Path(own).read_bytes() == before
    for wrong, told in (
        ("out=c.xlsx", "names no CSV"),
        ("run=nowhere", "holds no run"),
        ("consensus=x", "consensus=x"),
    ):
        with pytest.raises(UserError, match=told):
            command([*words, wrong])
    with Run(tmp_path / "other", stage="audit", config={}), pytest.raises(UserError, match="stage audit"):
        command([f"run={tmp_path / 'other'}", words[1]])
    command(["--help"])
