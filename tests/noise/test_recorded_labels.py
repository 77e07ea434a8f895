from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.written import write_table
from ssl_robust.finetune.task import make_task
from ssl_robust.noise.corruption import corrupt, noise_labels
from ssl_robust.run import UserError

SYMMETRIC = {"_target_": "ssl_robust.noise.transitions.symmetric", "rate": 0.4}
NONE = {"_target_": "ssl_robust.noise.transitions.none"}


def manifest(n=60):
    """Three classes, some scans without a label; ids that a spreadsheet would run as a formula."""
    labels = [None if row % 10 == 9 else "abc"[row % 3] for row in range(n)]
    splits = [("train", "train", "val", "test")[row % 4] for row in range(n)]
    columns = {"sample_id": [f"=scan {row}" for row in range(n)], "label": labels, "split": splits}
    columns |= {"path": columns["sample_id"], "patient_id": [None] * n, "true_label": [None] * n}
    return Manifest(pd.DataFrame(columns, dtype="string"), ("a", "b", "c"), SimpleNamespace(fingerprint="x"))


def recorded(path):
    return {"_target_": "ssl_robust.noise.recorded_labels.recorded", "labels": str(path)}


def test_another_run_gets_the_same_labels_whatever_its_seed_and_order(tmp_path):
    scans = manifest()
    task = make_task(scans, SYMMETRIC, 3)
    task.write_labels(tmp_path / "labels.csv")
    for place in (tmp_path / "labels.csv", tmp_path):  # the file, or the run that it lies in
        again = noise_labels(scans, recorded(place), 0)
        np.testing.assert_array_equal(again.labels, task.given)
        assert again.realised_rate == task.corruption.realised_rate > 0.2
        np.testing.assert_array_equal(again.transition, task.corruption.transition)
        assert again.kind == "recorded"
        assert np.isnan(again.rate)
    order = np.random.default_rng(0).permutation(len(scans))
    turned = Manifest(scans.table.iloc[order].reset_index(drop=True), scans.classes, scans.source)
    np.testing.assert_array_equal(noise_labels(turned, recorded(tmp_path), 1).labels, task.given[order])


def test_the_test_split_keeps_its_own_labels(tmp_path):
    scans = manifest()
    make_task(scans, NONE, 0).write_labels(tmp_path / "labels.csv")
    table = pd.read_csv(tmp_path / "labels.csv", dtype=str)
    table.loc[table["split"] == "test", "given_label"] = "a"
    table.to_csv(tmp_path / "labels.csv", index=False)
    np.testing.assert_array_equal(noise_labels(scans, recorded(tmp_path), 0).labels, scans.codes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.iloc[1:], r"noise=recorded: .*no label of 1 of the 42 samples .*'=scan 0'"),
        (lambda table: table.assign(given_label="bb"), r"holds the label 'bb' and the classes here are a, b, c"),
        (lambda table: pd.concat([table, table.iloc[:1]]), r"names the sample '=scan 0' twice"),
        (lambda table: table.drop(columns="given_label"), r"no column 'given_label'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_sentence(tmp_path, change, message):
    scans = manifest()
    table = pd.DataFrame(scans.table[["sample_id", "split"]]).assign(given_label=scans.table["label"])
    write_table(tmp_path / "labels.csv", change(table).reset_index(drop=True))
    with pytest.raises(UserError, match=message):
        noise_labels(scans, recorded(tmp_path / "labels.csv"), 0)


def test_without_a_file(tmp_path):
    with pytest.raises(UserError, match=r"noise\.labels=.*nothing\.csv does not exist"):
        noise_labels(manifest(), recorded(tmp_path / "nothing.csv"), 0)
    with pytest.raises(UserError, match=r"noise=recorded: noise\.labels is missing"):
        noise_labels(manifest(), recorded("???"), 0)
    with pytest.raises(ValueError, match=r"noise\.labels is missing"):
        corrupt([0, 1, 2], kind="recorded", seed=0)
