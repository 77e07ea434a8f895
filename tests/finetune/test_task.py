from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.manifest import Manifest
from ssl_robust.finetune.task import make_task
from ssl_robust.run import UserError

NONE = {"_target_": "ssl_robust.noise.transitions.none"}


def manifest(labels, splits, true_labels=None):
    ids = [f"scan-{i}" for i in range(len(labels))]
    columns = {
        "sample_id": ids,
        "path": ids,
        "label": labels,
        "patient_id": [None] * len(ids),
        "split": splits,
        "true_label": true_labels or [None] * len(ids),
    }
    classes = tuple(sorted({label for label in labels if label}))
    return Manifest(pd.DataFrame(columns, dtype="string"), classes, SimpleNamespace(fingerprint="x"))


def test_unlabelled_scans_are_left_out_and_the_known_truth_is_measured_against(tmp_path):
    scans = manifest(
        ["a", "b", None, "a", "b"], ["train", "train", "train", "test", "test"], ["a", "a", "b", "b", None]
    )
    task = make_task(scans, NONE, 0)
    assert task.train.tolist() == [0, 1]
    assert task.test.tolist() == [3, 4]
    assert task.truth[task.test].tolist() == [1, 1]
    assert task.given[task.train].tolist() == [0, 1]
    task.write_labels(tmp_path / "labels.csv")
    table = pd.read_csv(tmp_path / "labels.csv")
    assert table["is_corrupted"].tolist() == [False, True, False, True, False]
    assert table["given_label"].isna().tolist() == [False, False, True, False, False]
    task.write_predictions(tmp_path / "predictions.csv", np.array([[0.2, 0.8], [0.7, 0.3]]), np.array([0.6, 1.0]))
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table.to_dict("list") == {
        "sample_id": ["scan-3", "scan-4"],
        "split": ["test", "test"],
        "label": ["b", "b"],
        "predicted": ["b", "a"],
        "last_correct": [0.6, 1.0],
        "p_a": [0.2, 0.7],
        "p_b": [0.8, 0.3],
    }


@pytest.mark.parametrize(
    ("labels", "splits", "message"),
    [
        ([None, None], ["train", "test"], r"no scan has a label.*data\.columns\.label"),
        (["a", "a", "a"], ["train", "train", "test"], "fewer than two classes"),
        (["a", "b", "c"], ["train", "train", "test"], "'c' has no training scan"),
        (["a", "b", None], ["train", "train", "test"], "no labelled scan is in the split test"),
    ],
)
def test_what_cannot_be_learnt_is_said_in_one_sentence(labels, splits, message):
    with pytest.raises(UserError, match=message):
        make_task(manifest(labels, splits), NONE, 0)


def test_a_class_with_one_scan_stays_with_a_word_about_it(capsys):
    task = make_task(manifest(["a", "a", "b", "a"], ["train", "train", "train", "test"]), NONE, 0)
    assert task.given[task.train].tolist() == [0, 0, 1]
    assert "'b' has a single training scan" in capsys.readouterr().out
