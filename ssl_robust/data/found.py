"""One line on the screen about the data that a stage has opened, so that a wrong folder or column is seen at once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ssl_robust.data.agreement import agreement, in_words
from ssl_robust.data.manifest import Manifest
from ssl_robust.data.splits import SPLITS
from ssl_robust.files import printable

_SHOWN = 10  # classes; of more, only how many there are


def say_found(manifest: Manifest, what: str, *, splits: bool = True) -> None:
    """Print how many samples, classes and patients there are, how the splits share them, and how far readers agree.

    Args:
        manifest: of the readable samples.
        what: what they are, e.g. "scans, RGB, 64 px".
        splits: whether the stage looks at splits.
    """
    codes = manifest.codes()
    sizes = np.bincount(codes[codes >= 0], minlength=len(manifest.classes))
    parts = [f"Found {len(manifest):,} {what}", f"{len(sizes)} classes"]
    if 0 < len(sizes) <= _SHOWN:
        parts[-1] += f" ({', '.join(f'{name} {n:,}' for name, n in zip(manifest.classes, sizes, strict=True))})"
    if n := int((codes < 0).sum()):
        parts.append(f"{n:,} without a label")
    parts.append(f"{manifest.table['patient_id'].nunique():,} patients known")
    shares = ", ".join(f"{name} {len(manifest.rows(name)):,}" for name in SPLITS)
    print(printable(", ".join(parts)) + (f"; {shares}" if splits else ""), flush=True)
    if manifest.votes is not None:
        print(printable(in_words(agreement(manifest.votes, pd.Series(manifest.table["label"])))), flush=True)
