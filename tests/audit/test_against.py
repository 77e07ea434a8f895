"""`audit reference=RUN` from end to end: what the reference keeps, who votes, and what is refused."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ssl_robust.audit.stage import audit as stage
from ssl_robust.cli import run
from ssl_robust.data.audit_table import read_audit_table
from ssl_robust.data.columns import read_table
from ssl_robust.data.written import write_table
from ssl_robust.encoders.checkpoint import describe, save_encoder
from ssl_robust.encoders.encoder import create_encoder
from ssl_robust.report import render
from ssl_robust.run import AboveLimit, UserError, read_json, write_json
from ssl_robust.settings import compose

NAMES = np.array(["ill", "well"])
SMALL = ["neighbors.k=7", "bootstrap.n_resamples=2"]


def vectors_of(folder, name, truth, given, *, prefix="", patients=None, seed=0, dim=8):
    """An .npy and its table; returns the options that name them."""
    rng = np.random.default_rng(seed)
    np.save(folder / f"{name}.npy", (rng.normal(size=(len(truth), dim)) + 4 * np.eye(dim)[truth]).astype(np.float32))
    ids = [f"{prefix}{row}" for row in range(len(truth))]
    table = pd.DataFrame({"sample_id": ids, "label": np.asarray(NAMES)[given]})
    if patients is not None:
        table["patient_id"] = patients
    table.to_csv(folder / f"{name}.csv", index=False)
    return ["data=embeddings", f"data.path={folder / f'{name}.npy'}", f"data.labels={folder / f'{name}.csv'}"]


def audit(folder, name, data, *options):
    """The stage without the command line and its report."""
    return stage(compose("audit", [*data, *SMALL, *options, f"out={folder / name}"]))


def table_of(folder, name):
    return read_audit_table(folder / name / "audit.csv").set_index("sample_id")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An audit of 60 vectors whose row 4 is mislabelled, of the patients Smith 0 … 29, kept or not."""
    tmp_path = tmp_path_factory.mktemp("made")
    truth = np.repeat([0, 1], 30)
    given = truth.copy()
    given[4] = 1
    data = vectors_of(tmp_path, "old", truth, given, prefix="old/", patients=[f"Smith {row // 2}" for row in range(60)])
    audit(tmp_path, "kept", data, "save_embeddings=true")
    audit(tmp_path, "plain", data)
    return tmp_path


@pytest.fixture
def old(made, tmp_path):
    """The options of its data, moved with both audits into a folder of the test's own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    for name in ("plain", "kept"):
        about = (tmp_path / name / "run.json").read_text(encoding="utf-8")
        (tmp_path / name / "run.json").write_text(about.replace(str(made), str(tmp_path)), encoding="utf-8")
    return ["data=embeddings", f"data.path={tmp_path / 'old.npy'}", f"data.labels={tmp_path / 'old.csv'}"]


@pytest.fixture
def new(tmp_path, old):
    """Six new scans, the third mislabelled; all of one class by their labels but for that; two of old patients."""
    patients = ["Smith 0", "Smith 1", "Jones", "Jones", "Doe", None]
    return vectors_of(tmp_path, "new", np.zeros(6, int), [0, 0, 1, 0, 0, 0], prefix="new/", patients=patients, seed=5)


@pytest.mark.parametrize("reference", ["kept", "plain"])
def test_new_labels_are_judged_by_the_old_scans_of_other_patients(tmp_path, new, reference, capsys):
    before = {file.name: file.read_bytes() for file in (tmp_path / reference).iterdir()}
    audit(tmp_path, "out", new, f"reference={tmp_path / reference}")
    said = capsys.readouterr()
    assert f"Reference: {reference}, 60 labelled scans; 2 of the 6 new labels are of its patients or scans" in said.out
    table = table_of(tmp_path, "out")
    assert table["rank"].astype(int).idxmin() == "new/2"
    assert table.loc["new/2", "suggested_label"] == "ill"
    assert (table["label"] != table["suggested_label"]).sum() == 1
    named = {name: set(names) for name, names in table["neighbors"].items()}
    assert all(each.startswith("old/") for names in named.values() for each in names), "no new scan votes"
    assert not {"old/0", "old/1"} & named["new/0"], "its own patient's"
    assert not {"old/2", "old/3"} & named["new/1"]
    summary = read_json(tmp_path / "out" / "audit.json")
    assert summary["reference"] == {"name": reference, "n": 60}
    assert summary["n_labelled"] == 6
    assert "Smith" not in render(tmp_path / "out").read_text(encoding="utf-8")
    assert {file.name: file.read_bytes() for file in (tmp_path / reference).iterdir()} == before


def test_both_ways_to_keep_the_vectors_judge_alike(tmp_path, new):
    for name in ("kept", "plain"):
        audit(tmp_path, f"by {name}", new, f"reference={tmp_path / name}")
    one, other = (table_of(tmp_path, f"by {name}") for name in ("kept", "plain"))
    pd.testing.assert_frame_equal(one, other)
    (tmp_path / "old.npy").unlink()
    audit(tmp_path, "later", new, f"reference={tmp_path / 'kept'}")


def test_no_patient_is_named_in_what_is_kept(tmp_path, old):
    for file in (tmp_path / "kept").iterdir():
        if file.name not in ("run.json", "config.yaml"):
            assert b"Smith" not in file.read_bytes(), file.name
    salt = read_json(tmp_path / "kept" / "run.json")["patients_salt"]
    assert len(salt) == 32
    others = [file for file in (tmp_path / "kept").iterdir() if file.name != "run.json"]
    assert not any(salt.encode() in file.read_bytes() for file in others), "who has the files cannot try names"


def test_a_scan_that_was_in_the_reference_does_not_vouch_for_itself(tmp_path, old):
    table = pd.read_csv(tmp_path / "old.csv").drop(columns="patient_id")
    table.to_csv(tmp_path / "old.csv", index=False)
    audit(tmp_path, "nobody", old, "save_embeddings=true")
    audit(tmp_path, "again", old, f"reference={tmp_path / 'nobody'}")
    full, again = table_of(tmp_path, "nobody"), table_of(tmp_path, "again")
    assert all(name not in names for name, names in again["neighbors"].items())
    assert again["neighbors"].tolist() == full["neighbors"].tolist()


def test_suspects_of_the_reference_weigh_less_and_probabilities_come_along(tmp_path, new):
    for place, doubt in (("kept", "1.0"), ("plain", "0.01")):
        file = tmp_path / place / "audit.csv"
        table = read_table(file)
        wrong = table["sample_id"] == "old/4"
        table["p_mislabeled"] = pd.Series(np.where(wrong, doubt, "0.01"), dtype="string")
        write_table(file, table)
    options = ["neighbors.k=25", "n_neighbors=25"]
    audit(tmp_path, "out", new, f"reference={tmp_path / 'kept'}", *options)
    found = table_of(tmp_path, "out")
    assert list(found)[:6] == ["path", "label", "suggested_label", "score", "p_mislabeled", "rank"]
    assert found["p_mislabeled"].between(0, 1).all()
    order = found.sort_values("score")
    assert order["p_mislabeled"].is_monotonic_increasing
    audit(tmp_path, "without", new, f"reference={tmp_path / 'plain'}", *options)
    plain = table_of(tmp_path, "without")
    near = [
        name for name, names in plain["neighbors"].items() if "old/4" in names and plain.loc[name, "label"] == "ill"
    ]
    assert near, "the planted case: a right label with the wrong voter near it"
    assert (found.loc[near, "score"] < plain.loc[near, "score"]).all()


def test_one_class_of_new_scans_is_enough_and_a_gate_works(tmp_path, old):
    data = vectors_of(tmp_path, "one", np.zeros(4, int), [0, 0, 0, 0], prefix="one/", seed=9)
    audit(tmp_path, "out", data, f"reference={tmp_path / 'kept'}", "fail_above=0.5", "table=parquet")
    assert len(read_audit_table(tmp_path / "out" / "audit.parquet")) == 4
    data = vectors_of(tmp_path, "bad", np.zeros(4, int), [1, 1, 1, 1], prefix="one/", seed=9)
    with pytest.raises(AboveLimit):
        audit(tmp_path, "gate", data, f"reference={tmp_path / 'kept'}", "fail_above=0.5")


def assert_refused(tmp_path, data, *options, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        audit(tmp_path, "out", data, *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["reference={}/kapt"], "does not exist; give the path of a folder (there is a kept beside it)"),
        (["reference={}"], "holds no run"),
        (["referense=x"], "audit has no option referense, did you mean reference"),
        (["save_embedding=true"], "audit has no option save_embedding, did you mean save_embeddings"),
        (["reference={}/kept", "neighbors.save=true"], "neighbors.save=True is for a search among the new scans"),
        (["reference={}/kept", "neighbors.index=ivf"], "take one of the two away"),
        (["reference={}/kept", "reference_sample=0"], "reference_sample=0 is not positive"),
        (["reference={}/kept", "out={}/kept", "overwrite=true"], "kept lies in out="),
    ],
)
def test_a_typo_is_one_sentence_and_leaves_nothing(tmp_path, new, capsys, options, sentence):
    options = [each.format(tmp_path) for each in options]
    assert run(["audit", *new, *SMALL, f"out={tmp_path / 'out'}", *options]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_other_vectors_classes_and_runs_are_refused(tmp_path, old, new):
    kept, plain = f"reference={tmp_path / 'kept'}", f"reference={tmp_path / 'plain'}"
    table = pd.read_csv(tmp_path / "new.csv")
    table.assign(label="rare").to_csv(tmp_path / "rare.csv", index=False)
    assert_refused(tmp_path, [*new[:2], f"data.labels={tmp_path / 'rare.csv'}"], kept,
                   sentence="has no scan of 'rare' (its classes are ill, well), so that nobody there can")  # fmt: skip
    short = vectors_of(tmp_path, "short", np.zeros(4, int), [0, 0, 1, 1], dim=5)
    assert_refused(tmp_path, short, kept, sentence="the new vectors have 5 numbers and those of reference=kept 8")
    vectors_of(tmp_path, "old", np.repeat([0, 1], 30), np.repeat([0, 1], 30), prefix="old/", seed=3)
    assert_refused(tmp_path, new, plain, sentence="holds other vectors than when reference=")
    (tmp_path / "old.npy").unlink()
    assert_refused(tmp_path, new, plain, sentence="are no longer there")
    about = read_json(tmp_path / "kept" / "run.json")
    for change, sentence in (({"finished": False}, "is an unfinished audit"), ({"stage": "embed"}, "is an embed run")):
        write_json(tmp_path / "kept" / "run.json", {**about, **change})
        assert_refused(tmp_path, new, kept, sentence=sentence)


def test_scans_and_their_encoder(tmp_path):
    def scans(name, levels, wrong=()):
        rng = np.random.default_rng(len(name))
        for number, level in enumerate(levels):
            label = "light" if (level > 100) != (number in wrong) else "dark"
            file = tmp_path / name / label / f"{name}{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.normal(level, 15, (32, 32)).clip(0, 255).astype(np.uint8)).save(file)
        return ["data=folder", f"data.path={tmp_path / name}", "checkpoint=none", "encoder=resnet10t"]

    seen = scans("old", [60, 190] * 10)
    audit(tmp_path, "ref", seen, "save_embeddings=true")
    audit(tmp_path, "bare", seen)
    fresh = scans("new", [60, 190, 60, 60], wrong=(3,))
    assert_refused(
        tmp_path,
        fresh,
        f"reference={tmp_path / 'bare'}",
        sentence="has not kept the vectors of its scans; audit them again with save_embeddings=true",
    )
    assert_refused(
        tmp_path, [*fresh, "seed=1"], f"reference={tmp_path / 'ref'}", sentence="was made with another encoder"
    )
    encoder = create_encoder("resnet10t", in_chans=1, input_size=32, mean=[0.5], std=[0.2])
    card = describe(encoder, resize="pad", method="simclr", epochs=1, n_scans=9, data_fingerprint="", data_licence="")
    save_encoder(encoder, tmp_path / "ssl", card=card)
    trained = [f"checkpoint={tmp_path / 'ssl'}"]
    audit(tmp_path, "ref2", [*seen[:2], *trained], "save_embeddings=true")
    audit(tmp_path, "out", [*fresh[:2], *trained], f"reference={tmp_path / 'ref2'}")
    table = table_of(tmp_path, "out")
    assert table["rank"].astype(int).idxmin() == "light/new3.png"
    suspect = json.loads((tmp_path / "out" / "suspects.json").read_text())["suspects"][0]
    assert suspect["thumbnail"] == 0
    assert {each["thumbnail"] for each in suspect["neighbors"]} == {None}, "pictures of the reference are not kept"
    assert 'src=""' not in render(tmp_path / "out").read_text(encoding="utf-8")
