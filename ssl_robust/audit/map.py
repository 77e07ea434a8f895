"""Where the scans lie: the embeddings seen from the side on which they spread most, for the report's map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_robust.neighbors import UnitRows
from ssl_robust.run import replacing


def write_map(out: Path, unit: UnitRows, rows: np.ndarray) -> None:
    """Write map.npz: `xy`, (N, 2) float32 of `plane`; `row`, (N,) int64 rows of audit.csv.

    Args:
        out: the run directory.
        unit: N labelled samples.
        rows: (N,) where they stand in audit.csv.

    Raises:
        ValueError: the lengths differ (the message states both).
    """
    if len(unit) != len(rows):
        raise ValueError(f"there are {len(unit)} vectors and {len(rows)} rows of audit.csv; expected one each")
    with replacing(out / "map.npz") as temporary:
        np.savez(temporary, xy=plane(unit), row=np.asarray(rows, dtype=np.int64))


def plane(unit: UnitRows) -> np.ndarray:
    """Unit vectors -> their first two principal components.

    Linear, so that distances on the map are never larger than true ones; two passes over blocks and a (D, D) matrix,
    never one of (N, N). An axis points to where its largest weight is positive, so that the same vectors give the same
    map.

    Args:
        unit: N rows of D numbers.

    Returns:
        (N, 2) float32; zeros where the vectors have fewer than two dimensions.
    """
    total, products = np.zeros(unit.dim), np.zeros((unit.dim, unit.dim))
    for block in unit.blocks():
        part = unit.take(block)
        total += part.sum(axis=0, dtype=np.float64)
        products += part.T @ part
    mean = total / max(1, len(unit))
    axes = np.linalg.eigh(products - len(unit) * np.outer(mean, mean))[1][:, :-3:-1]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    xy = np.zeros((len(unit), 2), dtype=np.float32)
    for block in unit.blocks():
        xy[block, : axes.shape[1]] = (unit.take(block) - mean) @ axes
    return xy
