"""The files of a whole run: what they hold, and whom they do not name."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ssl_robust.audit.stage import audit
from ssl_robust.data.columns import read_table
from ssl_robust.report import render
from ssl_robust.run import write_json
from ssl_robust.settings import compose

QUICK = ["estimate.n_resamples=4", "bootstrap.n_resamples=4"]
TEXTS = ("audit.csv", "audit.json", "duplicates.csv", "outliers.csv", "suspects.json", "run.json", "report.html")


@pytest.fixture
def start(tmp_path):
    """Vectors, labels and further columns -> the directory of their audit."""

    def run(vectors, labels, *options, **columns):
        np.save(tmp_path / "E.npy", vectors.astype(np.float32))
        ids = [f"scan-{row:04d}" for row in range(len(labels))]
        pd.DataFrame({"sample_id": ids, "label": labels, **columns}).to_csv(tmp_path / "L.csv", index=False)
        data = ["data=embeddings", f"data.path='{tmp_path / 'E.npy'}'", f"data.labels='{tmp_path / 'L.csv'}'"]
        return audit(compose("audit", [*data, *QUICK, *options, f"out='{tmp_path / 'audit'}'"]))

    return run


def planted():
    """120 samples of two classes; 118 and 119 are copies of 0 and 1, the first under another label; 50 lies far off."""
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 2
    vectors = 1.5 * rng.normal(size=(2, 12))[truth] + rng.normal(size=(120, 12))
    vectors[118:], vectors[50] = vectors[:2], 60 * np.eye(12)[3]
    truth[118] = 1
    return vectors, np.array(["ill", "well"])[truth], [f"Smith {row // 2}" for row in range(120)]


@pytest.mark.parametrize("score", ["ensemble", "knn"])
def test_copies_strange_scans_and_a_map_are_written_and_no_patient_is_named(start, score):
    vectors, labels, patients = planted()
    out = start(vectors, labels, f"score={score}", patient_id=patients)
    render(out)
    copies = read_table(out / "duplicates.csv")
    assert copies["sample_id"].tolist() == ["scan-0000", "scan-0118", "scan-0001", "scan-0119"]
    assert copies["kind"].tolist() == ["exact"] * 4
    assert copies["conflict"].tolist() == ["True", "True", "False", "False"]
    assert copies["across_patients"].tolist() == ["True"] * 4
    assert "scan-0050" in read_table(out / "outliers.csv")["sample_id"].tolist()
    with np.load(out / "map.npz") as file:
        assert file["xy"].shape == (120, 2)
        assert file["row"].tolist() == list(range(120))
    summary = json.loads((out / "audit.json").read_text())
    assert summary["duplicates"] == {
        "n_clusters": 2, "n_scans": 4, "n_conflicts": 1, "n_across_splits": 0, "n_across_patients": 2,
    }  # fmt: skip
    assert summary["score"] == score
    assert summary["effort"][0] == {"n": 0, "found": 0.0}
    assert summary["effort"][-1]["n"] == summary["n_labelled"] == 120
    assert len(summary["effort"]) <= 200
    assert summary["sentence"].startswith("About ")
    assert [each["judged"] for each in summary["classes"]] == [True, True]
    for name in TEXTS:
        assert "Smith" not in Path(out / name).read_text(encoding="utf-8"), name


def test_a_class_of_few_patients_is_named_with_their_number(start, capsys):
    vectors, labels, patients = planted()
    labels = labels.astype(object)
    labels[[10, 11, 12]] = "rare"
    out = start(vectors, labels, patient_id=patients)
    rare = json.loads((out / "audit.json").read_text())["classes"][1]
    assert (rare["name"], rare["n"], rare["n_flagged"], rare["judged"]) == ("rare", 3, 0, False)
    assert rare["why"] == "2 patients with it, too few to judge"
    assert rare["n_wrong_estimate"] is rare["precision"] is None
    assert "the 3 labels 'rare' cannot be judged: 2 patients with it" in capsys.readouterr().err
    assert read_table(out / "audit.csv").loc[[10, 11, 12], "p_mislabeled"].isna().all()


def test_a_class_of_one_in_a_hundred_is_not_eaten(start):
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [2000, 20])
    vectors = rng.normal(size=(2020, 16)) + 3 * rng.normal(size=(2, 16))[truth]
    given = np.where(rng.random(2020) < 0.1, 1 - truth, truth)
    given[-20:] = [1] * 17 + [0] * 3
    names = np.array(["well", "ill"])
    out = start(vectors, names[given], true_label=names[truth])
    table = read_table(out / "audit.csv")
    flagged = (table["label"] != table["suggested_label"]).to_numpy()
    rightly_rare = (truth == 1) & (given == 1)
    assert flagged[rightly_rare].mean() < 0.2
    assert flagged[(truth == 0) & (given == 1)].mean() > 0.8
    score = table["score"].astype(float).to_numpy()
    assert score[(truth == 1) & (given == 0)].min() > np.quantile(score[(truth == 0) & (given == 0)], 0.99)
    summary = json.loads((out / "audit.json").read_text())
    for each in summary["classes"]:
        mine = (table["label"] == each["name"]).to_numpy()
        assert each["flag_rate"] == pytest.approx(flagged[mine].mean())
        assert each["precision"] == pytest.approx(table["p_mislabeled"].astype(float)[mine & flagged].mean(), abs=1e-6)
        assert each["n_wrong"] == (given != truth)[mine].sum()
        found = each["n_wrong_estimate"]
        assert 0 <= found["low"] <= found["estimate"] <= found["high"] <= each["n"]


def test_the_margin_of_a_training_run_is_a_score(start, tmp_path):
    vectors, labels, patients = planted()
    run = tmp_path / "tuned"
    run.mkdir()
    write_json(run / "run.json", {"stage": "finetune", "schema_version": 1, "config": {}})
    ids = [f"scan-{row:04d}" for row in range(120)]
    pd.DataFrame({"sample_id": ids, "split": "train", "given_label": labels}).to_csv(run / "labels.csv", index=False)
    margin = np.tile(np.where(np.arange(120) == 30, -5, 4), (3, 1)).astype(np.float32)
    np.savez(run / "dynamics.npz", margin=margin, loss=-margin, rows=np.arange(120))
    out = start(vectors, labels, "score=aum", f"dynamics='{run}'", patient_id=patients)
    table = read_table(out / "audit.csv")
    assert table["rank"].astype(int).idxmin() == 30
    assert table["score"].nunique() == 2
