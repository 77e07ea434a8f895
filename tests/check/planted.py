"""Sets of scans with a known answer."""

import numpy as np
import pandas as pd

from ssl_robust.data.manifest import data_settings
from ssl_robust.data.scanset import open_scans


def textures(n, seed=0, side=64):
    """(n, side, side) uint8, no two alike."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(30, 226, (n, side // 4, side // 4)), np.ones((1, 4, 4))).astype(np.uint8)


def write_set(folder, images, labels=None, *, patients=None, splits=None):
    """An npz with its index; returns the options of `data` as a dict, split by split in the order given."""
    splits = np.array(["train"] * len(images) if splits is None else splits)
    arrays, lines = {}, []
    for split in ("train", "val", "test"):
        rows = np.flatnonzero(splits == split)
        if len(rows):
            arrays[f"{split}_images"] = images[rows]
            if labels is not None:
                arrays[f"{split}_labels"] = np.asarray(labels)[rows]
        lines += [(split, place, row) for place, row in enumerate(rows)]
    np.savez(folder / "set.npz", **arrays)
    options = {"path": str(folder / "set.npz")}
    if patients is not None:
        table = pd.DataFrame(lines, columns=["split", "row", "of"])
        table.assign(patient_id=np.asarray(patients)[table["of"]]).to_csv(folder / "index.csv", index=False)
        options["index"] = str(folder / "index.csv")
    return options


def opened(folder, images, labels=None, **how):
    """The scans of such a set."""
    return open_scans(data_settings("npz", split_leaks="allow", **write_set(folder, images, labels, **how)))
