"""What is known of a scan beside its label, as plain values for JSON."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ssl_robust.data.manifest import Manifest
from ssl_robust.exchange.table import FROM_AUDIT


def attributes(manifest: Manifest, *, truth: bool = True) -> list[dict[str, Any]]:
    """(N,) fields that are known of each scan: patient, split, true label, and what an audit says of it.

    Args:
        manifest: the scans, with the columns of an audit where one goes along.
        truth: whether the true label goes along; who is to judge a scan should not see it.
    """
    names = ["patient_id", "split", *(["true_label"] if truth else []), "given", *FROM_AUDIT]
    columns = {name: manifest.table[name].astype(object).tolist() for name in names if name in manifest.table}
    rows = zip(*columns.values(), strict=True)
    return [{name: value for name, value in zip(columns, row, strict=True) if not pd.isna(value)} for row in rows]
