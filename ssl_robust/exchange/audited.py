"""What an audit says of the scans that are being converted."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.audit_table import find_audit_table, read_audit_table
from ssl_robust.data.manifest import Manifest
from ssl_robust.exchange.table import FROM_AUDIT
from ssl_robust.run import UserError, read_run


@dataclass(frozen=True)
class Audited:
    """A finished audit.

    Attributes:
        place: its run directory.
        table: by sample_id, in the order of the audit: `label` as it was audited, and `FROM_AUDIT`.
    """

    place: Path
    table: pd.DataFrame


def read_audit(run: str | Path) -> Audited:
    """What an audit has written.

    Args:
        run: its directory.

    Raises:
        UserError: no finished audit is there.
    """
    place = Path(run).expanduser()
    read_run(place, stage="audit")
    if (file := find_audit_table(place)) is None:
        raise UserError(f"audit={run} is unfinished; continue it with the same command and resume=true")
    table = read_audit_table(file).set_index("sample_id")
    return Audited(place, pd.DataFrame(table[["label", *(name for name in FROM_AUDIT if name in table)]]))


def with_audit(manifest: Manifest, audited: Audited) -> Manifest:
    """The manifest with the columns of an audit, missing where it says nothing.

    Args:
        manifest: the scans that were audited.
        audited: of `read_audit`.

    Raises:
        UserError: the audit is of other scans.
    """
    ids, audit = manifest.table["sample_id"], audited.table
    if not set(ids) & set(audit.index):
        raise UserError(
            f"audit= is of other scans (e.g. {audit.index[0]!r} where these data have {ids.iloc[0]!r}); give the data "
            "that it was made with"
        )
    joined = audit.reindex(ids).reset_index(drop=True)
    other = (joined.pop("label") != manifest.table["label"]).fillna(False) & joined["rank"].notna()
    if n := int(other.sum()):
        print(f"Note: {n:,} labels are not those that were audited, so that what the audit says of them is of other "
              "labels", file=sys.stderr)  # fmt: skip
    return replace(manifest, table=pd.concat([manifest.table, joined], axis=1))


def check_first(first: Any, order: str | None) -> None:
    """Say before the data are read that so many suspects cannot be chosen.

    Raises:
        UserError: it is no number of scans, or neither an audit nor a queue (`order`) ranks them.
    """
    if first is None:
        return
    if isinstance(first, bool) or not isinstance(first, int) or first < 1:
        raise UserError(f"first={first} does not fit; expected a number of scans, e.g. 200")
    if order is None:
        raise UserError(f"first={first} counts in the order of an audit; add audit=RUN or queue=RUN")


def first_suspects(manifest: Manifest, n: int) -> Manifest:
    """The n scans to look at first, in the order of the data.

    Args:
        manifest: of `with_audit`.
        n: how many; all that have a rank where these are fewer.
    """
    ranks = manifest.table["rank"].to_numpy(dtype=np.float64, na_value=np.inf)
    order = np.argsort(ranks, kind="stable")[:n]
    return manifest.take(np.sort(order[np.isfinite(ranks[order])]))
