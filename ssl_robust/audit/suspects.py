"""The most suspect labels with their pictures, saved so that the report needs neither scans nor encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ssl_robust.run import replacing, write_json

_SIDE = 112  # pixels; larger scans are reduced, smaller ones stay as they are


def write_suspects(out: Path, table: pd.DataFrame, pixels: np.ndarray | None, *, n_suspects: int) -> None:
    """Write suspects.json, and thumbnails.npz where there are pixels and suspects.

    Args:
        out: the run directory.
        table: the audit table, row i of it belongs to `pixels[i]`.
        pixels: (N, S, S, C) uint8 or uint16, or None.
        n_suspects: how many, in the order of their ranks.
    """
    ranks = table["rank"].to_numpy(dtype=np.float64, na_value=np.inf)
    first = table.iloc[np.argsort(ranks, kind="stable")[: min(n_suspects, int(np.isfinite(ranks).sum()))]]
    row_of = {name: row for row, name in enumerate(table["sample_id"])}
    labels = table["label"].to_numpy(dtype=object)
    pictures: dict[int, int] = {}

    def described(name: str) -> dict[str, Any]:
        row = row_of[name]
        return {"sample_id": name, "label": labels[row], "thumbnail": pictures.setdefault(row, len(pictures))}

    suspects = []
    for line in first.to_dict("records"):
        wrong = line.get("is_wrong", pd.NA)
        suspects.append(
            {
                **described(line["sample_id"]),
                **{name: line[name] for name in ("path", "suggested_label", "score", "rank")},
                "is_wrong": None if wrong is pd.NA else bool(wrong),
                "neighbors": [described(name) for name in line["neighbors"]],
            }
        )
    if pixels is not None and pictures:
        images = np.stack([thumbnail(pixels[row]) for row in pictures])
        with replacing(out / "thumbnails.npz") as temporary:
            np.savez_compressed(temporary, images=images)
    write_json(out / "suspects.json", {"has_thumbnails": pixels is not None and bool(pictures), "suspects": suspects})


def thumbnail(scan: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 or uint16 -> (s, s, C) uint8 for the eye; 16 bits are stretched between their 0.5 % tails."""
    if scan.dtype == np.uint16:
        low, high = np.percentile(scan, [0.5, 99.5])
        scan = ((np.clip(scan, low, high) - low) / max(high - low, 1) * 255).round().astype(np.uint8)
    if len(scan) <= _SIDE:
        return np.ascontiguousarray(scan)
    image = Image.fromarray(scan[..., 0] if scan.shape[2] == 1 else scan)
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX)).reshape(_SIDE, _SIDE, scan.shape[2])
