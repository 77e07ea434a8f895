import csv
import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ssl_robust.audit.stage import audit
from ssl_robust.data.columns import read_table
from ssl_robust.data.thumbnails import thumbnail
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.report import render
from ssl_robust.run import UserError
from ssl_robust.settings import compose

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def embeddings(tmp_path):
    """60 vectors of two classes with hostile names; rows 4 and 40 are mislabelled, row 5 has no label."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 30)
    np.save(tmp_path / "E.npy", (rng.normal(size=(60, 8)) + 4 * np.eye(8)[truth]).astype(np.float32))
    given = truth.copy()
    given[[4, 40]] ^= 1
    names = np.array(["=cmd()", EVIL])
    table = pd.DataFrame(
        {
            "sample_id": [f"-scan/{row:02d}" for row in range(60)],
            "label": names[given],
            "true_label": names[truth],
            "patient_id": [f"Mrs Smith {row // 2}" for row in range(60)],
        }
    )
    table.loc[5, "label"] = ""
    table.to_csv(tmp_path / "L.csv", index=False)
    return ["data=embeddings", f"data.path='{tmp_path / 'E.npy'}'", f"data.labels='{tmp_path / 'L.csv'}'"]


def start(tmp_path, *overrides, name="audit"):
    return audit(compose("audit", [*overrides, f"out='{tmp_path / name}'"]))


def rows_of(out):
    with (out / "audit.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_of_ready_vectors(embeddings, tmp_path):
    out = start(tmp_path, *embeddings)
    rows = rows_of(out)
    assert list(rows[0]) == [
        "sample_id", "path", "label", "suggested_label", "score", "p_mislabeled", "rank", "evidence", "neighbors",
        "is_wrong",
    ]  # fmt: skip
    assert [row["sample_id"] for row in rows] == [f"'-scan/{row:02d}" for row in range(60)]
    assert {index for index, row in enumerate(rows) if row["rank"] in ("1", "2")} == {4, 40}
    assert (rows[4]["label"], rows[4]["suggested_label"], rows[4]["is_wrong"]) == (EVIL, "'=cmd()", "True")
    assert (rows[5]["label"], rows[5]["score"], rows[5]["rank"], rows[5]["is_wrong"]) == ("", "", "", "")
    names = json.loads(rows[0]["neighbors"])
    assert len(names) == 5
    assert set(names) < {row["sample_id"] for row in rows}
    assert not {"'-scan/00", "'-scan/01", "'-scan/05"} & set(names)
    assert read_table(out / "audit.csv")["sample_id"].tolist() == [f"-scan/{row:02d}" for row in range(60)]
    for row in rows:
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


def test_the_summary_says_what_was_found_and_how(embeddings, tmp_path):
    summary = json.loads((start(tmp_path, *embeddings) / "audit.json").read_text())
    assert (summary["n"], summary["n_labelled"], summary["n_flagged"]) == (60, 59, 2)
    assert [(each["name"], each["n"], each["n_flagged"], each["n_wrong"]) for each in summary["classes"]] == [
        (EVIL, 30, 1, 1),
        ("=cmd()", 29, 1, 1),
    ]
    assert (summary["groups_used"], summary["n_groups"], summary["k"]) == (True, 30, 50)
    truth = summary["truth"]
    assert (truth["n_known"], truth["n_wrong"]) == (59, 2)
    assert truth["auroc"]["estimate"] == pytest.approx(1)
    assert truth["precision_at"]["n_wrong"]["estimate"] == 1
    assert truth["precision_at"]["10"]["low"] <= 0.2 <= truth["precision_at"]["10"]["high"]


def test_several_readers_are_one_label_and_its_agreement(embeddings, tmp_path):
    table = pd.read_csv(tmp_path / "L.csv", dtype=str, keep_default_na=False)
    given = table.pop("label")
    table = table.assign(a=given, b=given, c="")
    table.loc[:9, "c"] = given.iloc[::-1].iloc[:10].to_numpy()  # of the other class
    table.to_csv(tmp_path / "L.csv", index=False)
    out = start(tmp_path, *embeddings, "data.columns.label=[a,b,c]", "data.consensus=majority")
    rows = read_table(out / "audit.csv")
    assert rows["label"].iloc[6:].tolist() == given.iloc[6:].tolist()
    assert rows["agreement"].astype(float).iloc[:4].tolist() == pytest.approx([2 / 3] * 4)
    assert set(rows["agreement"].iloc[10:]) == {"1.0"}
    assert rows["vote_c"].iloc[:10].tolist() == given.iloc[::-1].iloc[:10].tolist()
    assert rows["vote_c"].iloc[10:].isna().all()
    readers = json.loads((out / "audit.json").read_text())["readers"]
    assert [each["n"] for each in readers["readers"]] == [59, 59, 10]
    assert readers["n_unsettled"] == 0
    suspects = {each["sample_id"]: each for each in json.loads((out / "suspects.json").read_text())["suspects"]}
    assert suspects["-scan/04"]["votes"] == [
        {"reader": "a", "label": EVIL}, {"reader": "b", "label": EVIL}, {"reader": "c", "label": EVIL},
    ]  # fmt: skip
    assert suspects["-scan/40"]["votes"][2] == {"reader": "c", "label": None}
    page = render(out).read_text(encoding="utf-8")
    assert "59 of 60 scans have labels of two readers or more, and all agree on" in page
    assert '{"label": null, "reader": "c"}' in page
    assert EVIL not in page
    assert "agreement" not in rows_of(start(tmp_path, *embeddings, "data.columns.label=a", name="one"))[0]


def test_without_truth_there_are_no_measures(embeddings, tmp_path):
    out = start(tmp_path, *embeddings, "data.columns.true_label=label")
    assert json.loads((out / "audit.json").read_text())["truth"] == {"n_known": 59, "n_wrong": 0}
    table = pd.read_csv(tmp_path / "L.csv").drop(columns="true_label")
    table.to_csv(tmp_path / "L.csv", index=False)
    out = start(tmp_path, *embeddings, name="blind")
    assert json.loads((out / "audit.json").read_text())["truth"] is None
    assert "is_wrong" not in rows_of(out)[0]
    assert render(out).exists()


def test_noise_is_made_only_when_asked_and_is_then_the_truth(embeddings, tmp_path):
    table = pd.read_csv(tmp_path / "L.csv", dtype=str).drop(columns="true_label")
    table.to_csv(tmp_path / "L.csv", index=False)
    before = rows_of(start(tmp_path, *embeddings))
    out = start(tmp_path, *embeddings, "noise=symmetric", "noise.rate=0.2", name="noisy")
    after = rows_of(out)
    changed = [a["label"] != b["label"] for a, b in zip(before, after, strict=True)]
    assert 3 <= sum(changed) <= 24
    assert [row["is_wrong"] for row in after] == ["" if i == 5 else str(c) for i, c in enumerate(changed)]
    summary = json.loads((out / "audit.json").read_text())
    assert summary["noise"]["realised_rate"] == pytest.approx(sum(changed) / 59)
    assert summary["truth"]["n_wrong"] == sum(changed)


def test_same_command_same_table(embeddings, tmp_path):
    texts = [(start(tmp_path, *embeddings, name=name) / "audit.csv").read_bytes() for name in "ab"]
    assert texts[0] == texts[1]
    with pytest.raises(UserError, match="already holds a finished audit run"):
        start(tmp_path, *embeddings, name="a")


def test_ready_vectors_never_import_torch(embeddings, tmp_path):
    code = (
        "import sys\nfrom ssl_robust.cli import run\n"
        f"code = run(['audit', *{[each.replace(chr(39), '') for each in embeddings]}, 'out={tmp_path}/o'])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\nsys.exit(code)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert (tmp_path / "o" / "report.html").exists()


@pytest.fixture
def scans(tmp_path):
    root = tmp_path / "scans"
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        (root / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.normal(level, 15, (32, 32)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    (root / "light" / "0.png").rename(root / "dark" / "wrong.png")
    return ["data=folder", f"data.path='{root}'", "checkpoint=none", "encoder=resnet10t", "n_suspects=4"]


def test_scans_through_an_encoder(scans, tmp_path):
    out = start(tmp_path, *scans, "neighbors.k=5")
    first = min((row for row in rows_of(out) if row["rank"]), key=lambda row: int(row["rank"]))
    assert (first["sample_id"], first["suggested_label"]) == ("dark/wrong.png", "light")
    found = json.loads((out / "suspects.json").read_text())
    assert len(found["suspects"]) == 4
    assert [len(each["neighbors"]) for each in found["suspects"]] == [5] * 4
    images = np.load(out / "thumbnails.npz")["images"]
    assert images.shape[1:] == (32, 32, 1)
    shown = images[found["suspects"][0]["thumbnail"], ..., 0]
    assert np.array_equal(shown, np.asarray(Image.open(tmp_path / "scans" / "dark" / "wrong.png")))
    page = render(out).read_text(encoding="utf-8")
    # Each picture once, and those of the suspects again for browsers without scripts.
    assert len(re.findall('"data:image/', page)) == len(images) + 4


def test_nothing_that_leaves_the_machine_names_a_patient_or_a_path(scans, tmp_path, capsys):
    root = tmp_path / "scans"
    for file in sorted(root.rglob("*.png")):
        file.rename(file.with_name(f"Smith_{file.name}"))
    (root / "dark" / "Smith_broken.png").write_bytes(b"no image")
    out = start(
        tmp_path, *scans, "neighbors.k=5", "data.patient_pattern='(Smith_[a-z0-9]+)'", "data.max_unreadable=0.5"
    )
    page = render(out)
    log = "".join(capsys.readouterr())
    assert "Left out 1 of 21" in log
    texts = [file.read_text(encoding="utf-8") for file in (out / "audit.csv", out / "audit.json", page)]
    for text in (log, (out / "suspects.json").read_text(encoding="utf-8"), *texts):
        assert "Smith" not in text
        assert str(tmp_path / "scans") not in text
    key = read_table(root / "ssl-robust-ids.csv").set_index("sample_id")["scan"]
    first = min((row for row in rows_of(out) if row["rank"]), key=lambda row: int(row["rank"]))
    assert key[first["sample_id"]] == "dark/Smith_wrong.png"


def test_patients_of_ready_vectors_stay_out_of_everything(embeddings, tmp_path):
    out = start(tmp_path, *embeddings)
    for file in (out / "audit.csv", out / "audit.json", out / "suspects.json", render(out)):
        assert "Mrs Smith" not in file.read_text(encoding="utf-8")


def test_no_suspects_asked_for(scans, tmp_path):
    out = start(tmp_path, *scans, "neighbors.k=5", "n_suspects=0")
    assert json.loads((out / "suspects.json").read_text()) == {
        "has_thumbnails": False, "pictured": [], "suspects": [],
    }  # fmt: skip
    assert "Look here first" not in render(out).read_text(encoding="utf-8")


def test_an_embed_run_is_audited_as_it_is(scans, tmp_path):
    from ssl_robust.encoders.stage import embed_stage

    kept = [each for each in scans if not each.startswith("n_")]
    embed_stage(compose("embed", [*kept, f"out='{tmp_path / 'emb'}'"]))
    out = start(tmp_path, "data=embeddings", f"data.path='{tmp_path / 'emb'}'", "neighbors.k=5")
    straight = start(tmp_path, *scans, "neighbors.k=5", name="straight")
    assert [row["rank"] for row in rows_of(out)] == [row["rank"] for row in rows_of(straight)]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["checkpoint=none"], "leave checkpoint= out"),
        (["neighbors.k=0"], "neighbors.k=0 is not positive"),
        (["n_suspects=-1"], "n_suspects=-1 is negative"),
        (["noise=symmetric", "noise.rate=0.9"], "rate=0.9"),
        (["bootstrap.level=2"], "bootstrap.level=2"),
        (["bootstrap.n_resamples=-1"], "bootstrap.n_resamples=-1"),
    ],
)
def test_mistakes_with_vectors(embeddings, tmp_path, overrides, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        start(tmp_path, *embeddings, *overrides)
    assert not (tmp_path / "audit").exists()


def test_vectors_without_labels(tmp_path):
    np.save(tmp_path / "E.npy", np.ones((5, 2), np.float32))
    with pytest.raises(UserError, match="none of the 5 samples has a label"):
        start(tmp_path, "data=embeddings", f"data.path='{tmp_path / 'E.npy'}'")


def test_scans_need_a_checkpoint_where_none_ships(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_robust.encoders.places.shipped_root", lambda: tmp_path)
    with pytest.raises(UserError, match="checkpoint= is missing"):
        start(tmp_path, *[each for each in scans if not each.startswith("checkpoint")])


@pytest.mark.parametrize("in_chans", [1, 3])
def test_scans_alone_are_audited_with_the_encoder_that_ships(scans, tmp_path, monkeypatch, capsys, in_chans):
    shipped = tmp_path / "checkpoints"
    encoder = create_encoder("resnet10t", in_chans=in_chans, input_size=32, mean=[0.5] * in_chans, std=[0.2] * in_chans)
    card = describe(
        encoder, resize="pad", method="simclr", epochs=1, n_scans=9000, data_fingerprint="", data_licence=""
    )
    save_encoder(encoder, shipped / "tiny", card=replace(card, trained_on=["made-up cells"]))
    (shipped / "default.txt").write_text("tiny")
    monkeypatch.setattr("ssl_robust.encoders.places.shipped_root", lambda: shipped)
    out = start(tmp_path, *[each for each in scans if not each.startswith(("checkpoint", "encoder"))], "neighbors.k=5")
    assert "Encoder: tiny, which ships with ssl-robust: resnet10t for" in (said := capsys.readouterr().out)
    assert "simclr on 9,000 scans (made-up cells)" in said
    assert json.loads((out / "audit.json").read_text())["checkpoint"] == "tiny"
    run = json.loads((out / "run.json").read_text())
    assert run["config"]["checkpoint"] == "default"
    assert (run["encoder"]["in_chans"], run["encoder"]["n_scans"]) == (in_chans, 9000)
    assert "embeddings of tiny" in render(out).read_text(encoding="utf-8")


def test_thumbnails_are_eight_bits_and_small():
    ramp = np.linspace(0, 4095, 300 * 300).reshape(300, 300, 1).astype(np.uint16)
    small = thumbnail(ramp)
    assert (small.shape, small.dtype) == ((112, 112, 1), np.uint8)
    assert small.min() < 5
    assert small.max() > 250
    colour = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    assert np.array_equal(thumbnail(colour), colour)


def test_words_for_a_missing_label_are_not_audited(embeddings, tmp_path, capsys):
    table = pd.read_csv(tmp_path / "L.csv", dtype=str)
    table.loc[[7, 8], "label"] = "?"
    table.to_csv(tmp_path / "L.csv", index=False)
    out = start(tmp_path, *embeddings)
    assert "'?' in label counts as missing (found 2x)" in capsys.readouterr().err
    assert json.loads((out / "audit.json").read_text())["n_labelled"] == 57


def test_a_finished_audit_is_not_done_again(embeddings, tmp_path, capsys):
    out = start(tmp_path, *embeddings)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert start(tmp_path, *embeddings, "resume=true") == out
    assert "is finished already" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"cannot resume .*: neighbors.k was 50 and is now 5; "):
        start(tmp_path, *embeddings, "resume=true", "neighbors.k=5")
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_the_number_of_judges_is_the_one_that_there_is(embeddings, tmp_path):
    out = start(tmp_path, *embeddings, "neighbors.k=500")
    assert json.loads((out / "audit.json").read_text())["k"] == 58  # 59 labels; one patient has but one
    assert "Neighbours are the up to 58 most similar" in render(out).read_text(encoding="utf-8")


def test_the_screen_warns_as_the_report_does(embeddings, scans, tmp_path, capsys):
    start(tmp_path, *embeddings)
    assert "a third" not in capsys.readouterr().err
    start(tmp_path, *embeddings, "noise=symmetric", "noise.rate=0.45", "neighbors.k=3", name="noisy")
    assert "more than a third of the labels are suspect" in capsys.readouterr().err
    out = start(tmp_path, *scans, "neighbors.k=5", name="random")
    assert "checkpoint=none is a random encoder: for comparison only" in capsys.readouterr().err
    assert "embeddings of an untrained encoder" in render(out).read_text(encoding="utf-8")
