"""Options of the search in the `audit` stage, and that blocks change nothing."""

import json

import numpy as np
import pandas as pd
import pytest

from ssl_robust.audit.scores import knn
from ssl_robust.audit.stage import audit
from ssl_robust.audit.table import audit_table
from ssl_robust.neighbors import search
from ssl_robust.report import render
from ssl_robust.run import UserError
from ssl_robust.settings import compose


@pytest.fixture
def embeddings(tmp_path):
    """600 vectors of three classes, patients of two scans."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300).repeat(2)
    np.save(tmp_path / "E.npy", (3 * np.eye(12)[truth] + rng.normal(size=(600, 12))).astype(np.float32))
    given = np.where(rng.random(600) < 0.05, (truth + 1) % 3, truth)
    names = np.array(["a", "b", "c"])
    patients = [f"p{row // 2}" for row in range(600)]
    table = pd.DataFrame({"label": names[given], "true_label": names[truth], "patient_id": patients})
    table.to_csv(tmp_path / "L.csv", index=False)
    return ["data=embeddings", f"data.path='{tmp_path / 'E.npy'}'", f"data.labels='{tmp_path / 'L.csv'}'"]


def start(tmp_path, *overrides, name="audit"):
    return audit(compose("audit", [*overrides, f"out='{tmp_path / name}'"]))


def summary_of(out):
    return json.loads((out / "audit.json").read_text(encoding="utf-8"))


def test_few_vectors_are_searched_exactly_and_the_summary_says_why(embeddings, tmp_path):
    summary = summary_of(start(tmp_path, *embeddings))
    assert summary["neighbors"] == "exact (FAISS flat, cosine)"
    assert summary["search"]["kind"] == "exact"
    assert "600 vectors of 12 numbers is estimated to take" in summary["search"]["why"]


def test_the_summary_and_the_report_say_what_approximate_search_missed(embeddings, tmp_path):
    out = start(tmp_path, *embeddings, "neighbors.index=ivf", "neighbors.k=10", "neighbors.recall=0.9")
    how = summary_of(out)["search"]
    assert (how["kind"], how["n_cells"], how["n_trained"], how["k"]) == ("ivf", 24, 600, 10)
    assert how["why"] == "asked for by neighbors.index=ivf"
    assert 0.88 < how["recall_at_k"] <= 1
    assert f"{how['n_probed']} of 24 cells" in summary_of(out)["neighbors"]
    page = " ".join(render(out).read_text(encoding="utf-8").split())
    assert "nearly exact" in page
    assert f"{how['n_probed']} of 24 cells" in page
    assert "(exact cosine similarity" not in page


def test_neighbours_are_kept_and_used_again_with_other_labels(embeddings, tmp_path, monkeypatch):
    kept = start(tmp_path, *embeddings, "neighbors.save=true", "neighbors.k=20")
    again = ["noise=symmetric", "noise.rate=0.2", "neighbors.k=15"]
    searched = start(tmp_path, *embeddings, *again, name="searched")
    monkeypatch.setattr("ssl_robust.neighbors.build_graph", None)
    reused = start(tmp_path, *embeddings, *again, f"neighbors.file='{kept}'", name="reused")
    assert (reused / "audit.csv").read_bytes() == (searched / "audit.csv").read_bytes()
    assert "used again" in summary_of(reused)["search"]["why"]


def test_neighbours_of_other_vectors_are_refused(embeddings, tmp_path):
    kept = start(tmp_path, *embeddings, "neighbors.save=true")
    np.save(tmp_path / "E.npy", np.load(tmp_path / "E.npy")[::-1])
    with pytest.raises(UserError, match="belong to other vectors"):
        start(tmp_path, *embeddings, f"neighbors.file='{kept}'", name="again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("neighbors.index=hnsw", "neighbors.index=hnsw is not known; expected auto, exact or ivf"),
        ("neighbors.recall=1.5", "neighbors.recall=1.5 does not fit"),
        ("neighbors.ivf.calibrated_on=0", "neighbors.ivf.calibrated_on=0 is not positive"),
        ("neighbors.file=nowhere", "neighbors.file=nowhere holds no saved neighbours"),
    ],
)
def test_mistakes_in_the_search_are_named(embeddings, tmp_path, override, sentence):
    with pytest.raises(UserError, match=sentence):
        start(tmp_path, *embeddings, override)
    assert not (tmp_path / "audit").exists()


def test_shares_are_the_same_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 4, 200), np.arange(200) // 3
    found = search(rng.normal(size=(200, 6)), k=9, groups=groups)
    whole = knn.vote_shares(found, labels, groups, n_classes=4, temperature=0.2)
    monkeypatch.setattr(knn, "_BLOCK", 23)
    assert np.array_equal(knn.vote_shares(found, labels, groups, n_classes=4, temperature=0.2), whole)


def test_the_python_api_takes_the_search(embeddings, tmp_path):
    vectors = np.load(tmp_path / "E.npy")
    labels = pd.read_csv(tmp_path / "L.csv")["label"]
    exact = audit_table(vectors, labels, index="exact", score="knn")
    found = audit_table(vectors, labels, index="ivf", recall=1.0, seed=3, score="knn")
    assert np.corrcoef(exact["score"], found["score"])[0, 1] > 0.99
    with pytest.raises(ValueError, match="index is annoy"):
        audit_table(vectors, labels, index="annoy")
