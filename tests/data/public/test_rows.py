import numpy as np
import pytest

from ssl_robust.data.public.layout import Layout
from ssl_robust.data.public.rows import Row, manifest_of

FRACTIONS = {"val": 0.1, "test": 0.2}


@pytest.fixture
def layout(tmp_path):
    (tmp_path / "train").mkdir()
    return Layout(str(tmp_path), "https://example.org/set", landmark="train")


def rows_of(n_patients):
    """Two classes, two scans a patient; every fifth patient is in the official test."""
    return [
        Row(f"{patient}/{shot}.png", "ab"[patient % 2], "train" if patient % 5 else "test", f"p{patient}")
        for patient in range(n_patients)
        for shot in range(2)
    ]


def manifest(layout, rows, fractions=FRACTIONS, seed=0):
    return manifest_of(rows, layout, classes=("a", "b"), fractions=fractions, split_seed=seed)


def test_val_comes_out_of_train_in_whole_patients_and_test_stays(layout):
    rows = rows_of(100)
    table = manifest(layout, rows).table
    assert (table["split"] == "test").tolist() == [row.split == "test" for row in rows]
    assert (table["split"] == "val").sum() == pytest.approx(0.1 * 160, abs=2)
    assert table.groupby("patient_id")["split"].nunique().max() == 1
    assert set(table.loc[table["split"] == "val", "label"]) == {"a", "b"}


def test_val_hangs_on_the_seed_and_not_on_the_order(layout):
    rows = rows_of(100)
    split = manifest(layout, rows).table.set_index("sample_id")["split"]
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    assert manifest(layout, shuffled).table.set_index("sample_id")["split"].loc[split.index].equals(split)
    assert not manifest(layout, rows, seed=1).table["split"].equals(split.reset_index(drop=True))


def test_no_val_where_none_is_wanted_and_a_share_of_test_is_said_to_do_nothing(layout, capsys):
    table = manifest(layout, rows_of(20), {"val": 0.0, "test": 0.2}).table
    assert set(table["split"]) == {"train", "test"}
    assert capsys.readouterr().err == ""
    manifest(layout, rows_of(20), {"val": 0.1, "test": 0.5})
    assert "brings its test split; data.fractions.test changes nothing" in capsys.readouterr().err


def test_an_official_val_is_kept(layout):
    rows = [row._replace(split="val") if row.patient == "p1" else row for row in rows_of(20)]
    assert manifest(layout, rows).table["split"].tolist() == [row.split for row in rows]
