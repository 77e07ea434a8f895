import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.manifest import data_settings, load_manifest
from ssl_robust.data.written import write_table
from ssl_robust.files import UserError

PHANTOMS = {"n_patients": 12, "scans_per_patient": 2, "size": 32}


def phantoms(**values):
    return load_manifest(data_settings("phantoms", **PHANTOMS, **values))


def table(path, names, labels):
    write_table(path, pd.DataFrame({"sample_id": names, "label": pd.array(labels, dtype="string")}))
    return str(path)


def test_labels_change_and_nothing_else_does(tmp_path, capsys):
    before = phantoms()
    names, labels = before.table["sample_id"].tolist(), before.table["label"].tolist()
    other = before.classes[(before.classes.index(labels[3]) + 1) % len(before.classes)]
    after = phantoms(labels=table(tmp_path / "c.csv", [names[3], names[1], names[0]], [other, None, labels[0]]))
    assert "c.csv changes 2 of 24 labels; 21 labelled scans are not in it and keep theirs" in capsys.readouterr().err
    expected = [labels[0], None, labels[2], other, *labels[4:]]
    assert [None if pd.isna(each) else each for each in after.table["label"]] == expected
    assert after.table["label"].dtype == before.table["label"].dtype
    pd.testing.assert_frame_equal(after.table.drop(columns="label"), before.table.drop(columns="label"))
    assert after.classes == before.classes
    assert after.fingerprint != before.fingerprint
    assert after.source.fingerprint == before.source.fingerprint


def test_a_class_may_be_called_as_a_missing_label_elsewhere(tmp_path):
    labels = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "s.npz", train_images=np.zeros((4, 8, 8), np.uint8), train_labels=labels)
    settings = data_settings("npz", path=str(tmp_path / "s.npz"), classes=["NA", "=x"])
    corrected = table(tmp_path / "c.csv", ["train/1", "train/2"], ["NA", "=x"])
    after = load_manifest({**settings, "labels": corrected})
    assert after.table["label"].tolist() == ["NA", "NA", "=x", "=x"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": ["a"], "label": ["b"]}, "no column 'sample_id'"),
        ({"sample_id": ["a"], "diagnosis": ["b"]}, "no column 'label'"),
        ({"sample_id": ["a", "a"], "label": ["", ""]}, "names 'a' twice"),
        ({"sample_id": ["a"], "label": [""]}, r"is of other scans \(e.g. 'a' where these data have"),
        (
            {"sample_id": ["a"], "label": ["epithelial dysplesia"]},
            "'epithelial dysplesia', which is none of the classes",
        ),
    ],
)
def test_another_table_is_refused(tmp_path, columns, words):
    pd.DataFrame(columns).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(UserError, match=words):
        phantoms(labels=str(tmp_path / "c.csv"))


def test_a_misspelt_class_is_recognised(tmp_path):
    before = phantoms()
    near = before.classes[0][:-1] + "?"
    with pytest.raises(UserError, match=f"did you mean '{before.classes[0]}'"):
        phantoms(labels=table(tmp_path / "c.csv", before.table["sample_id"][:1].tolist(), [near]))


def test_hashed_ids_are_found(tmp_path):
    folder = tmp_path / "salt"
    hidden = {"ids": "hashed", "ids_folder": str(folder)}
    before = phantoms(**hidden)
    name, label = before.table["sample_id"][0], before.table["label"][0]
    other = next(each for each in before.classes if each != label)
    assert phantoms(**hidden, labels=table(tmp_path / "c.csv", [name], [other])).table["label"][0] == other
