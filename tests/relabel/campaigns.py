"""An audit and a campaign on disk, made without computing anything."""

import numpy as np
import pandas as pd

from ssl_robust.data.audit_table import write_audit_table
from ssl_robust.data.manifest import load_manifest
from ssl_robust.encoders.embedding_files import read_embeddings
from ssl_robust.relabel.campaign import read_campaign, scans_of, start_campaign
from ssl_robust.run import Run, write_json


def table_of(data):
    if data["_target_"].endswith("read_embeddings"):
        return read_embeddings(data["path"], data["labels"], columns=data["columns"]).samples
    return load_manifest(data).table


def make_audit(place, data, *, labels=None, left_out=(), noise=None, checkpoint="default"):
    """A finished audit of these data, whose labels `labels` may replace by id."""
    table = table_of(data)
    table = table[~table["sample_id"].isin(left_out)].reset_index(drop=True)
    label = table["label"].where(~table["sample_id"].isin(labels or {}), table["sample_id"].map(labels or {}))
    known = label.notna().to_numpy()
    rank = np.where(known, np.cumsum(known), -1)
    made = pd.DataFrame({"sample_id": table["sample_id"], "label": label.astype("string"),
                         "suggested_label": pd.array([label.dropna().iloc[0]] * len(table), dtype="string"),
                         "score": np.linspace(1, 0, len(table)), "p_mislabeled": np.linspace(0.9, 0.1, len(table)),
                         "rank": pd.array([value if value > 0 else None for value in rank], dtype="Int64"),
                         "neighbors": [[] for _ in range(len(table))]})  # fmt: skip
    with Run(place, stage="audit", config={"data": data, "checkpoint": checkpoint, "seed": 0}) as run:
        write_audit_table(run.path, made, kind="csv")
        write_json(run / "audit.json", {"noise": noise})
    return made


def make_campaign(place, audit, *, ids=None, shown="rank", readers=1, blind=False, classes=None):
    """A campaign that asks for the scans of an audit in their order."""
    from ssl_robust.data.audit_table import find_audit_table, read_audit_table

    table = read_audit_table(find_audit_table(audit))
    table = table[table["label"].notna()]
    ids = table["sample_id"].tolist() if ids is None else ids
    asked = table.set_index("sample_id").loc[ids].reset_index()
    queue = asked.assign(shown=shown, expected_gain=asked["score"].astype(float), cluster=-1,
                         p_mislabeled=asked["p_mislabeled"].astype(float))  # fmt: skip
    classes = sorted(set(table["label"])) if classes is None else classes
    with Run(place, stage="relabel", config={"seed": 0}) as run:
        start_campaign(run.path, queue, audit=audit, data=scans_of(audit), classes=classes, blind=blind,
                       control=table["sample_id"].tolist()[::-1], readers=readers, seed=0)  # fmt: skip
    return read_campaign(place)
