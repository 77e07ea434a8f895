"""The training dynamics that a finetune run wrote, brought to the samples of somebody else."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.run import UserError, read_run

DYNAMICS, LABELS = "dynamics.npz", "labels.csv"


def read_dynamics(
    directory: str | Path, ids: Sequence[str] | np.ndarray, labels: Sequence[str | None] | np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """What a finetune run recorded of some samples, found by their ids.

    Args:
        directory: of a finished finetune run.
        ids: (N,) `sample_id` of the samples, each once.
        labels: (N,) names of the labels they have now, None = unlabelled. What the run recorded of another label
            tells nothing of this one. None: the run's labels are taken for these.

    Returns:
        `loss`, `margin` (N, E) and, where the run recorded it, `vog` (N,), float32; NaN for samples that the run did
        not train on, or on another label.

    Raises:
        UserError: there is no finished finetune run, its files do not fit each other, or it trained on none of the
            samples.
    """
    directory = Path(directory).expanduser()
    recorded, table = _read(directory)
    rows = recorded.pop("rows")
    trained = table.loc[rows, ["sample_id", "given_label"]].reset_index(drop=True)
    place = pd.Index(trained["sample_id"]).get_indexer(pd.Index(np.asarray(ids, dtype=object)))
    if labels is not None and len(trained):
        now = pd.Series(np.asarray(labels, dtype=object)).astype("string").fillna("").to_numpy(dtype=object)
        place = np.where(trained["given_label"].to_numpy(dtype=object)[place] == now, place, -1)
    if not (place >= 0).any():
        raise UserError(
            f"dynamics={directory} was trained on none of these samples with the labels they have here; give a "
            "finetune run on the same data= and noise="
        )
    return {name: _taken(values if name == "vog" else values.T, place) for name, values in recorded.items()}


def _read(directory: Path) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """The arrays of dynamics.npz, and labels.csv."""
    read_run(directory, stage="finetune")
    for name in (DYNAMICS, LABELS):
        if not (directory / name).is_file():
            raise UserError(f"dynamics={directory} holds no {name}; give the directory of a finished finetune run")
    try:
        # Opened here: NumPy leaves a file open that is no archive.
        with (directory / DYNAMICS).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            recorded = {name: file[name] for name in ("loss", "margin", "rows", "vog") if name in file}
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile):
        recorded = {}
    table = read_table(directory / LABELS)
    rows = recorded.get("rows", np.empty(0, dtype=int))
    fits = {"loss", "margin", "rows"} <= set(recorded) and {"sample_id", "given_label"} <= set(table.columns)
    fits = fits and rows.max(initial=-1) < len(table) and table["sample_id"].is_unique
    if not fits or {values.shape[-1] for values in recorded.values()} != {len(rows)}:
        raise UserError(f"{directory / DYNAMICS} is damaged or belongs to another {LABELS}; run finetune again")
    return recorded, table


def _taken(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Rows of `values`, NaN where the place is -1."""
    taken = np.full((len(place), *values.shape[1:]), np.nan, dtype=np.float32)
    known = place >= 0
    taken[known] = values[place[known]]
    return taken
