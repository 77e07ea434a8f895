import numpy as np
import pandas as pd
import pytest

from ssl_robust.data.written import write_table
from ssl_robust.noise.recorded import read_dynamics
from ssl_robust.run import UserError, write_json

IDS = ["=a", "b", "c", "d"]
GIVEN = ["x", "y", "NA", "x"]
LOSS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float16)  # of the rows 0, 2, 3


@pytest.fixture
def run(tmp_path):
    """A directory as finetune leaves it; row 1 is not of the training split."""
    write_json(tmp_path / "run.json", {"stage": "finetune", "schema_version": 1, "config": {}})
    write_table(tmp_path / "labels.csv", pd.DataFrame({"sample_id": IDS, "split": "train", "given_label": GIVEN}))
    arrays = {"loss": LOSS, "margin": -LOSS, "rows": np.array([0, 2, 3]), "vog": np.array([7, 8, 9], dtype=np.float32)}
    np.savez(tmp_path / "dynamics.npz", **arrays)
    return tmp_path


def test_found_by_id_in_any_order(run):
    found = read_dynamics(run, ["d", "b", "=a", "other"])
    nan = np.nan
    np.testing.assert_array_equal(found["loss"], [[3, 6], [nan, nan], [1, 4], [nan, nan]])
    np.testing.assert_array_equal(found["margin"], -found["loss"])
    np.testing.assert_array_equal(found["vog"], [9, nan, 7, nan])


def test_what_was_recorded_of_another_label_is_left_out(run):
    found = read_dynamics(run, IDS, ["x", "y", "NA", "y"])
    np.testing.assert_array_equal(found["vog"], [7, np.nan, 8, np.nan])
    assert np.isnan(read_dynamics(run, IDS, [None, "y", "NA", "x"])["vog"]).tolist() == [True, True, False, False]


def test_runs_that_do_not_fit_are_refused(run):
    with pytest.raises(UserError, match="trained on none of these samples"):
        read_dynamics(run, ["b"])
    with pytest.raises(UserError, match="trained on none of these samples"):
        read_dynamics(run, ["=a"], ["y"])
    np.savez(run / "dynamics.npz", loss=LOSS, margin=LOSS, rows=np.array([0, 2, 4]))
    with pytest.raises(UserError, match=r"dynamics\.npz is damaged"):
        read_dynamics(run, IDS)
    (run / "dynamics.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"dynamics\.npz is damaged"):
        read_dynamics(run, IDS)
    (run / "dynamics.npz").unlink()
    with pytest.raises(UserError, match=r"holds no dynamics\.npz"):
        read_dynamics(run, IDS)
    write_json(run / "run.json", {"stage": "audit", "schema_version": 1, "config": {}})
    with pytest.raises(UserError, match="expected finetune"):
        read_dynamics(run, IDS)
