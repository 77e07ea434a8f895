"""What an audit found -> cleanlab: read back by cleanlab's own Datalab, and checked against the audit."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import load_npz

from ssl_robust.cli import run
from ssl_robust.data.audit_table import read_audit_table
from ssl_robust.exchange.knn_graph import as_matrix
from ssl_robust.records import Neighbors
from ssl_robust.run import UserError

N = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An .npz of 60 scans, the last without a label, and an audit of vectors in another order that kept neighbours."""
    root, rng = tmp_path_factory.mktemp("cleanlab"), np.random.default_rng(0)
    truth = np.arange(N) % 2
    given = truth.copy()
    given[[4, 41]] ^= 1
    vectors = rng.normal(size=(N, 8)) + 5 * np.eye(8)[truth]
    vectors[[10, 12]] = vectors[14]  # the same picture three times
    np.savez(
        root / "set.npz",
        train_images=np.zeros((N, 4, 4), np.uint8),
        train_labels=np.where(np.arange(N) < N - 1, given, -1),
    )
    order = rng.permutation(N)
    names = np.array(["ill", "well"], dtype=object)[given]
    names[-1] = None
    table = pd.DataFrame({"sample_id": [f"train/{row}" for row in range(N)], "label": names,
                          "patient_id": [f"Smith {row // 2}" for row in range(N)]})  # fmt: skip
    table.iloc[order].to_csv(root / "L.csv", index=False)
    np.save(root / "E.npy", vectors[order].astype(np.float32))
    data = ["data=embeddings", f"data.path={root / 'E.npy'}", f"data.labels={root / 'L.csv'}", "neighbors.k=12"]
    small = ["bootstrap.n_resamples=2", "n_suspects=0"]
    for name, options in (("audit", ["neighbors.save=true"]), ("plain", ["table=parquet"])):
        assert run(["audit", *data, *small, *options, f"out={root / name}"]) == 0
    return root


def convert(made, out, *options, data=None):
    npz = data or ["data=npz", f"data.path={made / 'set.npz'}", "data.classes=[ill,well]"]
    return run(["convert", *npz, "to=cleanlab", f"out={out}", *options])


def test_datalab_takes_the_graph_and_finds_the_copies(made, tmp_path):
    cleanlab = pytest.importorskip("cleanlab")
    pytest.importorskip("datasets")
    assert convert(made, tmp_path / "out", f"audit={made / 'audit'}") == 0
    labels, graph = np.load(tmp_path / "out" / "labels.npy"), load_npz(tmp_path / "out" / "knn_graph.npz")
    lab = cleanlab.Datalab({"labels": labels}, label_name="labels", verbosity=0)
    lab.find_issues(knn_graph=graph, issue_types={"near_duplicate": {}, "outlier": {}})
    assert set(np.flatnonzero(lab.get_issues("near_duplicate")["is_near_duplicate_issue"])) >= {10, 12, 14}
    assert len(lab.get_issues("outlier")) == N - 1


def test_every_row_is_sorted_and_of_other_patients(made, tmp_path):
    assert convert(made, tmp_path / "out", f"audit={made / 'audit'}") == 0
    graph = load_npz(tmp_path / "out" / "knn_graph.npz")
    ids = np.load(tmp_path / "out" / "sample_ids.npy")
    assert ids.tolist() == [f"train/{row}" for row in range(N - 1)]
    assert (graph.format, graph.shape, graph.nnz) == ("csr", (N - 1, N - 1), 22 * (N - 1))  # 12 and the spare ones
    columns, distances = graph.indices.reshape(N - 1, 22), graph.data.reshape(N - 1, 22)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert not (columns // 2 == np.arange(N - 1)[:, None] // 2).any(), "neither itself nor its own patient"
    assert {12, 14} == set(columns[10, :2]), "copies of other patients come first"
    assert (distances[10, :2] == 0).all(), "with an explicit zero"
    # The same distances, worked out here from the vectors as an audit sees them.
    vectors, rows = np.load(made / "E.npy"), pd.read_csv(made / "L.csv")["sample_id"].str[6:].astype(int).to_numpy()
    vectors = vectors[np.argsort(rows)][: N - 1].astype(np.float64)
    unit = vectors - vectors.mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    expected = 1 - np.take_along_axis(unit @ unit.T, columns, axis=1)
    np.testing.assert_allclose(distances, expected, atol=2e-6)


def test_issues_and_quality_are_the_audits(made, tmp_path):
    for name, graph in (("audit", "true"), ("plain", "false")):
        out = tmp_path / name
        assert convert(made, out, f"audit={made / name}", f"to.graph={graph}") == 0
        table = read_audit_table(made / "audit" / "audit.csv").set_index("sample_id")
        table = table.loc[np.load(out / "sample_ids.npy")]
        issues, quality = np.load(out / "is_label_issue.npy"), np.load(out / "label_quality.npy")
        assert issues.dtype == bool
        assert issues.tolist() == (table["label"] != table["suggested_label"]).tolist()
        assert set(np.flatnonzero(issues)) == {4, 41}
        np.testing.assert_allclose(quality, 1 - table["score"].astype(float))
        classes = json.loads((out / "classes.json").read_text())
        assert np.array(classes)[np.load(out / "suggested_labels.npy")].tolist() == table["suggested_label"].tolist()
        assert (out / "knn_graph.npz").exists() == (graph == "true")
        assert not any(b"Smith" in file.read_bytes() for file in out.iterdir())


@pytest.mark.parametrize(
    ("audit", "options", "sentence"),
    [
        ("plain", ["to.graph=true"], "kept no neighbours for knn_graph.npz; audit again with neighbors.save=true, or"),
        ("audit", ["first=5", "to.graph=true"], "54 of the 59 audited scans are not exported, and knn_graph.npz is of"),
        ("audit", ["first=0"], "first=0 does not fit; expected a number of scans, e.g. 200"),
        ("audit", ["to.graf=false"], "convert has no option to.graf, did you mean to.graph"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(made, tmp_path, capsys, audit, options, sentence):
    assert convert(made, tmp_path / "out", f"audit={made / audit}", *options) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_first_needs_an_audit(made, tmp_path, capsys):
    assert convert(made, tmp_path / "out", "first=5") == 2
    assert "first=5 counts in the order of an audit; add audit=RUN" in capsys.readouterr().err


def test_labels_that_have_changed_since_are_told(made, tmp_path, capsys):
    with np.load(made / "set.npz") as arrays:
        changed = {**arrays, "train_labels": np.where(np.arange(N) == 4, 0, arrays["train_labels"])}
    np.savez(tmp_path / "new.npz", **changed)
    data = ["data=npz", f"data.path={tmp_path / 'new.npz'}", "data.classes=[ill,well]"]
    assert convert(made, tmp_path / "out", f"audit={made / 'audit'}", data=data) == 0
    assert "Note: 1 labels are not those that were audited" in capsys.readouterr().err
    assert not np.load(tmp_path / "out" / "is_label_issue.npy")[4], "the suggestion has been followed"


def test_rows_of_unequal_length_get_the_shortest():
    found = Neighbors(np.array([[1, 2], [2, -1], [0, 1]]), np.array([[1, 0.5], [0.25, -np.inf], [0.5, 0]], np.float32))
    matrix = as_matrix(found, np.array([2, 0, 1]))  # sample 0 is row 2, 1 is row 0, 2 is row 1
    assert matrix.indices.tolist() == [1, 2, 0], "1 -> 2, 2 -> 0, 0 -> 1"
    assert matrix.data.tolist() == [0.75, 0.5, 0.0]
    with pytest.raises(UserError, match=r"leave the graph out with to\.graph=false"):
        as_matrix(Neighbors(np.array([[-1], [0]]), np.array([[-np.inf], [1]], np.float32)), np.arange(2))
