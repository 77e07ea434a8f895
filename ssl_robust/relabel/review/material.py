"""What a page of a campaign shows: the scans, at hand, their labels, and which of them are near-duplicates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from ssl_robust.data.audit_table import find_audit_table, read_audit_table
from ssl_robust.data.cache import cache_directory
from ssl_robust.data.columns import read_table
from ssl_robust.data.manifest import Manifest, complete, load_manifest
from ssl_robust.relabel.campaign import Campaign
from ssl_robust.relabel.review.at_hand import AtHand
from ssl_robust.run import UserError


def scans_of(campaign: Campaign) -> Manifest:
    """The scans of a campaign, any of which can be read at once.

    Args:
        campaign: what is asked.

    Raises:
        UserError: it was made of vectors alone, or the data lack a scan of the queue.
    """
    if campaign.data is None:
        raise UserError(
            f"{campaign.audit} judged vectors and knows no scans, so that there is nothing to show; audit the scans "
            "themselves (data=folder, csv, npz …), or take the queue to another program with ssl-robust convert"
        )
    settings = complete(campaign.data)
    manifest = load_manifest(settings)
    ids = manifest.table["sample_id"].tolist()
    missing = set(campaign.queue["sample_id"]) - set(ids)
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(campaign.queue)} scans in the queue are not in the data any more, e.g. "
            f"{min(missing)}; put them back where the audit read them"
        )
    if manifest.source.files is not None:
        return manifest
    wanted = set(campaign.queue["sample_id"]).union(*campaign.queue["neighbors"])
    rows = [row for row, name in enumerate(ids) if name in wanted]
    return replace(manifest, source=AtHand(manifest.source, rows, cache_directory(settings["cache_dir"])))


def labels_of(campaign: Campaign, manifest: Manifest) -> dict[str, str | None]:
    """Id -> label as it was audited, which differs from the data's where the audit made noise; else the data's.

    Args:
        campaign: what is asked.
        manifest: its scans.
    """
    file = find_audit_table(Path(campaign.audit).expanduser())
    audited = {} if file is None else _by_id(read_audit_table(file))
    return _by_id(manifest.table) | audited


def copies_of(campaign: Campaign, manifest: Manifest) -> dict[str, list[str]]:
    """Id -> ids of the scans that the audit found to show the same picture; without scans that have no such.

    Args:
        campaign: what is asked.
        manifest: its scans; others are passed over.
    """
    file = Path(campaign.audit).expanduser() / "duplicates.csv"
    if not file.is_file():
        return {}
    table = read_table(file)
    table = table[table["sample_id"].isin(manifest.table["sample_id"])]
    clusters = [group.tolist() for _, group in table.groupby("cluster", sort=False)["sample_id"]]
    return {each: [other for other in ids if other != each] for ids in clusters for each in ids if len(ids) > 1}


def _by_id(table: pd.DataFrame) -> dict[str, str | None]:
    pairs = zip(table["sample_id"], table["label"], strict=True)
    return {name: None if pd.isna(label) else label for name, label in pairs}
