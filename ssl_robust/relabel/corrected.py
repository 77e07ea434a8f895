"""A campaign's data and the answers to it -> the labels as the readers left them, one row for each scan."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_robust.data.audit_table import find_audit_table, read_audit_table
from ssl_robust.data.manifest import load_manifest
from ssl_robust.encoders.embedding_files import read_embeddings
from ssl_robust.files import UserError, read_json
from ssl_robust.relabel.answers import COLUMN, enough_read, standing, table
from ssl_robust.relabel.campaign import Campaign

UNSURE = ("keep", "drop")
COLUMNS = ("sample_id", "path", "label", "label_before", "read_by", "n_readers", "read_at", "patient_id", "split",
           "true_label")  # fmt: skip


@dataclass(frozen=True)
class Corrected:
    """The labels, and how they came about.

    Attributes:
        table: a row for each scan, in the order of the data, with those of `COLUMNS` of which anything is known.
        answers: of `answers.table`.
        n_changed: labels that are others now.
        n_confirmed: labels that readers found right.
        n_unsure: scans of which nobody who looked was sure.
        n_open: scans that keep their label until readers agree, or as many have looked as the campaign asks for.
    """

    table: pd.DataFrame
    answers: pd.DataFrame
    n_changed: int
    n_confirmed: int
    n_unsure: int
    n_open: int


def corrected(campaign: Campaign, data: Mapping[str, Any], *, rule: str, unsure: str) -> Corrected:
    """The labels as the readers left them.

    A label changes where the consensus is another class and as many readers as the campaign asks for have looked, or
    somebody has decided between them.

    Args:
        campaign: with its ledger.
        data: node of what was audited.
        rule: see `consensus.settle`.
        unsure: whether scans of which nobody was sure keep their label, or lose it (drop).

    Raises:
        UserError: nobody has answered, the data cannot be read, or the answers are of other scans.
    """
    stand = standing(campaign.ledger().read())
    if not stand:
        raise UserError(f"{campaign.place} holds no answer yet; read some scans first, with ssl-robust review "
                        f"run={campaign.place}")  # fmt: skip
    answers, scans = table(stand, rule=rule), _as_audited(campaign, data)
    enough = pd.array(enough_read(answers, campaign.readers), dtype="boolean")
    found = answers.assign(enough=enough).set_index("sample_id").reindex(scans["sample_id"].tolist())
    read = found["n_readers"].notna().to_numpy(dtype=bool)
    if not read.any():
        raise UserError(
            f"the answers in {campaign.place} are of other scans (e.g. {stand[0].sample_id!r} where the data have "
            f"{scans['sample_id'].iloc[0]!r}); the data have changed since, put back what was audited"
        )
    found = found.reset_index(drop=True)
    full, label = found["enough"].fillna(False).to_numpy(dtype=bool), pd.Series(found["consensus"])
    settled = full & label.notna().to_numpy(dtype=bool)
    doubted = full & ~settled & found.filter(regex=f"^{COLUMN}").isna().to_numpy(dtype=bool).all(axis=1)
    before = pd.Series(scans["label"])
    after = before.mask(settled, label)
    if unsure == "drop":
        after = after.mask(doubted)
    made = scans.assign(label=after.astype("string"), label_before=before, read_by=found["read_by"],
                        n_readers=found["n_readers"].fillna(0).astype("int64"), read_at=found["read_at"])  # fmt: skip
    changed = settled & (after != before).fillna(True).to_numpy(dtype=bool)
    return Corrected(
        pd.DataFrame(made[[name for name in COLUMNS if name in made]]), answers, n_changed=int(changed.sum()),
        n_confirmed=int((settled & ~changed).sum()), n_unsure=int(doubted.sum()),
        n_open=int((read & ~settled & ~doubted).sum()),
    )  # fmt: skip


def _as_audited(campaign: Campaign, data: Mapping[str, Any]) -> pd.DataFrame:
    """All scans of the data, in their order, with the labels that were audited."""
    if str(data["_target_"]).endswith(".read_embeddings"):
        scans = read_embeddings(data["path"], data["labels"], columns=data["columns"]).samples
    else:
        scans = load_manifest(data).table
    place = Path(campaign.audit).expanduser()
    if (file := find_audit_table(place)) is None:
        raise UserError(f"{place} holds no table of an audit; make the audit of this campaign again")
    audit = read_audit_table(file)
    labels = dict(zip(audit["sample_id"], audit["label"], strict=True))
    ids, own = pd.Series(scans["sample_id"]), pd.Series(scans["label"])
    label = own.mask(ids.isin(list(labels)).to_numpy(dtype=bool), ids.map(labels)).astype("string")
    other = int((label.fillna("") != own.fillna("")).to_numpy(dtype=bool).sum())
    if other and read_json(place / "audit.json").get("noise") is None:  # which is there to change labels
        print(f"Note: {other:,} labels of the data are not those that were audited; the audited ones count",
              file=sys.stderr)  # fmt: skip
    known = [name for name in scans if name == "sample_id" or scans[name].notna().to_numpy().any()]
    return pd.DataFrame(scans[known]).assign(label=label)
