import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ssl_robust.cli import run

ROWS = pd.DataFrame(
    {
        "path": ["a/1.png", "b/1.jpg", "b/2.png", "c d+é.png"],
        "sample_id": ["first", "=2nd()", "b/2.png", "4th"],
        "label": ["ill", "well", None, "ill"],
        "patient_id": ["p", "q", "q", None],
        "split": ["train", "val", "val", "test"],
        "true_label": ["well", None, None, "rare"],
    }
)


@pytest.fixture
def table(tmp_path):
    """A table of four scans, one of them without a label, in a folder `my scans`."""
    for number, name in enumerate(ROWS["path"]):
        file = tmp_path / "my scans" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 60 * number, np.uint8)).save(file)
    ROWS.to_csv(tmp_path / "my scans" / "labels.csv", index=False)
    return tmp_path / "my scans" / "labels.csv"


@pytest.fixture
def convert(table, tmp_path):
    """Runs the command on that table; returns the exit code."""

    def call(to, *options, data=("data=csv",), out="out"):
        path = [] if any(each.startswith("data.path=") for each in data) else [f"data.path={table}"]
        return run(["convert", *data, *path, f"to={to}", f"out={tmp_path / out}", *options])

    return call
