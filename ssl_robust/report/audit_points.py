"""map.npz -> the points that a page can carry: every suspect, and some of the other samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_MOST = 5_000  # other samples: enough to see the classes, few enough to draw at once
_GRID = 9_999  # positions are whole numbers up to this


def read_points(
    path: Path, labels: pd.DataFrame, suspects: Sequence[str], numbers: Mapping[str, int], *, seed: int
) -> tuple[dict[str, list[int]], list[dict[str, Any]]]:
    """Where the suspects lie, and a random choice of the others.

    Args:
        path: map.npz; without it there are no points.
        labels: of all samples, see `read_labels`.
        suspects: ids.
        numbers: pictures of samples, see `pictured`.
        seed: of the choice.

    Returns:
        Positions by id of the suspects; what is known of the others, with their positions.
    """
    if not path.exists() or labels.empty:
        return {}, []
    with np.load(path, allow_pickle=False) as file:
        rows, xy = file["row"], _on_grid(file["xy"])
    ids = labels["sample_id"].to_numpy(dtype=object)[rows]
    mine = np.isin(ids, np.array(suspects, dtype=object))
    others = np.flatnonzero(~mine)
    if len(others) > _MOST:
        others = np.sort(np.random.default_rng(seed).choice(others, _MOST, replace=False))
    places = {ids[i]: xy[i].tolist() for i in np.flatnonzero(mine)}
    return places, _described(labels.iloc[rows[others]], xy[others], numbers)


def _described(labels: pd.DataFrame, xy: np.ndarray, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    known = labels.reindex(columns=["sample_id", "label", "suggested_label", "p_mislabeled"])
    return [
        {
            "id": name,
            "label": label,
            "suggested_label": suggested if isinstance(suggested, str) else None,
            "p_mislabeled": round(float(p), 4) if isinstance(p, str) else None,
            "thumbnail": numbers.get(name),
            "place": place,
        }
        for (name, label, suggested, p), place in zip(known.to_numpy(object), xy.tolist(), strict=True)
    ]


def _on_grid(xy: np.ndarray) -> np.ndarray:
    """(N, 2) -> whole numbers; one scale for both axes, so that distances stay comparable."""
    low = xy.min(axis=0)
    scale = _GRID / max(float((xy.max(axis=0) - low).max()), 1e-12)
    return ((xy - low) * scale).round().astype(int)
