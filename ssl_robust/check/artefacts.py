"""What a check leaves for others: check.csv with a row per scan, and the pictures that the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.check.appearance import Appearance
from ssl_robust.check.duplicates import Cluster
from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.thumbnails import write_thumbnails
from ssl_robust.data.written import write_table

_MOST = 12  # scans of one group that are shown


def write_rows(
    path: Path,
    scans: ScanSet,
    facts: pd.DataFrame,
    look: Appearance,
    values: Mapping[str, Any],
    clusters: list[Cluster],
) -> None:
    """Write one row per scan, to sort and to filter by.

    Args:
        path: the file.
        scans: the decoded scans.
        facts: of their files; its columns are taken over.
        look: of their pixels.
        values: rows of the scans that are blank, saturated or framed.
        clusters: the same picture each; `same_picture` numbers them, `differ_in` says in what they differ.
    """
    n = len(scans)
    table = scans.manifest.table.filter(["sample_id", "path", "label", "split"])
    table[list(facts)] = facts
    table["contrast"], table["black"], table["white"] = (
        each.round(4) for each in (look.contrast, look.black, look.white)
    )
    for name in ("blank", "saturated", "framed"):
        table[name] = np.isin(np.arange(n), values[name])
    group, differ = np.full(n, -1), np.full(n, None, dtype=object)
    for number, each in enumerate(clusters, start=1):
        group[each.rows], differ[each.rows] = number, ", ".join(each.differ) or None
    table["same_picture"] = pd.array(np.where(group < 0, None, group), dtype="Int64")  # type: ignore[call-overload]
    table["differ_in"] = pd.array(differ, dtype="string")
    write_table(path, table)


def summary(clusters: list[Cluster]) -> dict[str, int]:
    """How many groups of scans show one picture, and how many of them differ in what."""
    differ = {name: sum(name in each.differ for each in clusters) for name in ("labels", "splits", "patients")}
    n_scans = sum(len(each.rows) for each in clusters)
    return {"n": len(clusters), "n_scans": n_scans, "n_copies": sum(each.identical for each in clusters), **differ}


def write_shown(out: Path, scans: ScanSet, clusters: list[Cluster], blank: np.ndarray, n_shown: int) -> dict[str, Any]:
    """What the report shows, with pictures in thumbnails.npz; every scan has the number of its own.

    Args:
        out: the run directory.
        scans: the decoded scans.
        clusters: the same picture each, in the order of the report.
        blank: rows of scans that show nothing.
        n_shown: how many of both; 0 writes no picture.
    """
    table, pictures = scans.manifest.table, {}
    labels = table["label"].to_numpy(dtype=object, na_value=None)

    def described(row: int) -> dict[str, Any]:
        names = {"sample_id": table["sample_id"][row], "label": labels[row], "split": table["split"][row]}
        return {**names, "thumbnail": pictures.setdefault(row, len(pictures))}

    shown = {
        "duplicates": [
            {"similarity": each.similarity, "identical": each.identical, "differ": each.differ, "n": len(each.rows),
             "scans": [described(int(row)) for row in each.rows[:_MOST]]}
            for each in clusters[:n_shown]
        ],
        "blank": [described(int(row)) for row in blank[:n_shown]],
    }  # fmt: skip
    if pictures:
        write_thumbnails(out, scans.pixels, list(pictures))
    return {**shown, "has_thumbnails": bool(pictures)}
