"""The most suspect labels with their pictures, saved so that the report needs neither scans nor encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.thumbnails import write_thumbnails
from ssl_robust.run import write_json

_CLUSTERS, _OF_A_CLUSTER, _OUTLIERS = 60, 12, 24  # that the report shows


def write_suspects(
    out: Path, table: pd.DataFrame, pixels: np.ndarray | None, *, n_suspects: int, votes: pd.DataFrame | None = None,
    elsewhere: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write suspects.json, and thumbnails.npz where there are pixels and suspects.

    Args:
        out: the run directory.
        table: the audit table, row i of it belongs to `pixels[i]`.
        pixels: (N, S, S, C) uint8 or uint16, or None.
        n_suspects: how many, in the order of their ranks.
        votes: (N, R) labels of several readers, or None.
        elsewhere: where neighbours are samples of another audit, their labels by id; there are no pictures of them.
    """
    ranks = table["rank"].to_numpy(dtype=np.float64, na_value=np.inf)
    first = table.iloc[np.argsort(ranks, kind="stable")[: min(n_suspects, int(np.isfinite(ranks).sum()))]]
    row_of = {name: row for row, name in enumerate(table["sample_id"])}
    labels = table["label"].to_numpy(dtype=object)
    pictures: dict[int, int] = {}

    def described(name: str) -> dict[str, Any]:
        row = row_of[name]
        return {"sample_id": name, "label": labels[row], "thumbnail": pictures.setdefault(row, len(pictures))}

    def neighbor(name: str) -> dict[str, Any]:
        if elsewhere is None:
            return described(name)
        return {"sample_id": name, "label": elsewhere[name], "thumbnail": None}

    suspects = []
    for line in first.to_dict("records"):
        wrong = line.get("is_wrong", pd.NA)
        suspects.append(
            {
                **described(line["sample_id"]),
                **{name: line[name] for name in ("path", "suggested_label", "score", "rank")},
                **{name: _plain(line.get(name)) for name in ("p_mislabeled", "evidence", "patient_verdict")},
                "is_wrong": None if wrong is pd.NA else bool(wrong),
                "votes": None if votes is None else _votes(votes.iloc[row_of[line["sample_id"]]]),
                "neighbors": [neighbor(name) for name in line["neighbors"]],
            }
        )
    for name in () if pixels is None else _also_shown(out):
        pictures.setdefault(row_of[name], len(pictures))
    if pixels is not None and pictures:
        write_thumbnails(out, pixels, list(pictures))
    names = table["sample_id"].to_numpy(dtype=object)
    has_thumbnails = pixels is not None and bool(pictures)
    pictured = [names[row] for row in pictures] if has_thumbnails else []
    write_json(out / "suspects.json", {"has_thumbnails": has_thumbnails, "pictured": pictured, "suspects": suspects})


def _also_shown(out: Path) -> list[str]:
    """Ids of the copies and outliers that the report shows, from their files, where the audit wrote them."""
    shown: list[str] = []
    if (out / "duplicates.csv").is_file():
        copies = read_table(out / "duplicates.csv")
        first = copies[copies["cluster"].astype(int) <= _CLUSTERS]
        shown += first.groupby("cluster", sort=False).head(_OF_A_CLUSTER)["sample_id"].tolist()
    if (out / "outliers.csv").is_file():
        shown += read_table(out / "outliers.csv")["sample_id"].head(_OUTLIERS).tolist()
    return shown


def _plain(value: Any) -> Any:
    """None where a value is missing."""
    return None if value is None or value is pd.NA or value != value else value


def _votes(row: pd.Series) -> list[dict[str, str | None]]:
    return [{"reader": str(name), "label": None if pd.isna(label) else str(label)} for name, label in row.items()]
