import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.audit_table import write_audit_table
from ssl_robust.noise.recorded_audit import read_posterior
from ssl_robust.run import UserError, write_json

CLASSES = ("NA", "b", "c")
IDS = ["=1", "2", "3", "4"]


def table(**columns):
    values = {
        "sample_id": IDS,
        "label": ["NA", "b", "c", None],
        "suggested_label": ["c", None, None, None],
        "score": [0.9, 0.4, 0.2, None],
        "p_mislabeled": [0.8, 0.4, None, None],
        "rank": [1, 2, 3, None],
        "evidence": [3.0, 3.0, 3.0, None],
        "neighbors": [["2"], ["3"], ["=1"], None],
    }
    return pd.DataFrame({**values, **columns})


@pytest.fixture
def audit(tmp_path):
    def make(found=None, kind="csv", finished=True):
        write_json(tmp_path / "run.json", {"stage": "audit", "schema_version": 1, "config": {}, "finished": finished})
        if kind is not None:
            write_audit_table(tmp_path, table() if found is None else found, kind=kind)
        return tmp_path

    return make


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_beliefs_are_found_by_id(audit, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    got = read_posterior(audit(kind=kind), ["3", "=1", "2"], np.array([2, 0, 1]), CLASSES)
    # Not judged: right; a class is suggested: the rest lies there; none is: evenly on the others.
    np.testing.assert_allclose(got, [[0, 0, 1], [0.2, 0, 0.8], [0.2, 0.6, 0.2]], rtol=1e-6)


def test_an_audit_that_saw_labels_of_other_splits_is_told_of(audit, capsys):
    read_posterior(audit(), ["=1"], np.array([0]), CLASSES)
    assert "learned from 2 labels outside the training split" in capsys.readouterr().out  # the fourth has no label
    read_posterior(audit(), ["3", "=1", "2"], np.array([2, 0, 1]), CLASSES)
    assert capsys.readouterr().out == ""


def test_an_audit_that_does_not_fit_is_refused_in_one_sentence(audit):
    labels = np.array([0, 1])
    with pytest.raises(UserError, match=r"saw other labels of 1 of the 2 .* \(e\.g\. '2': 'b' there, 'c' here\)"):
        read_posterior(audit(), ["=1", "2"], np.array([0, 2]), CLASSES)
    with pytest.raises(UserError, match=r"has no label of 2 of the 3 training samples \(e\.g\. '4'\)"):
        read_posterior(audit(), ["=1", "4", "5"], np.array([0, 1, 1]), CLASSES)
    with pytest.raises(UserError, match=r"suggests a class 'c' that these data do not have; its classes are NA, b"):
        read_posterior(audit(), ["=1", "2"], labels, CLASSES[:2])
    for found in (table(p_mislabeled=[None] * 4), table().drop(columns="p_mislabeled")):
        with pytest.raises(UserError, match="has judged no label"):
            read_posterior(audit(found), ["=1", "2"], labels, CLASSES)
    with pytest.raises(UserError, match="is an unfinished audit"):
        read_posterior(audit(finished=False), ["=1", "2"], labels, CLASSES)


def test_a_folder_without_an_audit(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        read_posterior(tmp_path, ["=1"], np.array([0]), CLASSES)
    with pytest.raises(UserError, match=r"strategy\.audit=.* does not exist"):
        read_posterior(tmp_path / "nothing", ["=1"], np.array([0]), CLASSES)
    write_json(tmp_path / "run.json", {"stage": "audit", "schema_version": 1, "config": {}})
    with pytest.raises(UserError, match="is an unfinished audit"):
        read_posterior(tmp_path, ["=1"], np.array([0]), CLASSES)
