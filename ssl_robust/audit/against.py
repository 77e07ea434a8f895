"""New samples and a finished audit -> the table of an audit, with neighbours that are the finished audit's samples."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.audit.reference import calibrated, judge
from ssl_robust.audit.reference_run import Reference
from ssl_robust.data.manifest import Manifest
from ssl_robust.run import UserError


def check_options(settings: dict[str, Any]) -> None:
    """Say before anything is read which options an audit against another one has no use for.

    Raises:
        UserError: one of them is given.
    """
    search = settings["neighbors"]
    given = {"save": search["save"], "file": search["file"], "index": search["index"] == "ivf"}
    if settings["reference"] is not None and (useless := [name for name, value in given.items() if value]):
        name = useless[0]
        raise UserError(f"neighbors.{name}={search[name]} is for a search among the new scans, and reference= compares "
                        "them with those of another audit; take one of the two away")  # fmt: skip


def check_fits(reference: Reference, *, dim: int, encoder: str | None, manifest: Manifest) -> None:
    """Say what a reference cannot judge.

    Args:
        reference: the finished audit.
        dim: D of the new vectors.
        encoder: fingerprint of their encoder, where it is known.
        manifest: of the new samples.

    Raises:
        UserError: another encoder, or a class that the reference does not have.
    """
    voters = reference.voters
    if None not in (encoder, reference.encoder) and encoder != reference.encoder:
        raise UserError(f"reference={reference.name} was made with another encoder, whose vectors cannot be compared "
                        "with these; give the checkpoint= of that audit")  # fmt: skip
    if dim != voters.vectors.shape[1]:
        raise UserError(f"the new vectors have {dim} numbers and those of reference={reference.name} "
                        f"{voters.vectors.shape[1]}; make both with the same encoder")  # fmt: skip
    present = manifest.table["label"].dropna().unique().tolist()
    if unknown := [name for name in manifest.classes if name in present and name not in reference.classes]:
        raise UserError(
            f"reference={reference.name} has no scan of {unknown[0]!r} (its classes are "
            f"{', '.join(reference.classes)}), so that nobody there can judge that label; audit these scans together "
            "with it, or without reference="
        )


def against(
    reference: Reference,
    vectors: np.ndarray,
    manifest: Manifest,
    given: np.ndarray,
    *,
    settings: dict[str, Any],
    numbered: bool,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of an audit and how its neighbours were found, as `table.ranked` gives them.

    Args:
        reference: that fits, see `check_fits`.
        vectors: (N, D).
        manifest: of the new samples.
        given: (N,) ints, their labels as positions in `manifest.classes`, -1 where there is none.
        settings: of the stage.
        numbered: whether patients are numbers, see `Reference.own_groups`.
    """
    started, voters = time.monotonic(), reference.voters
    search = {name: settings["neighbors"][name] for name in ("k", "center", "temperature")}
    rows = np.flatnonzero(given >= 0)
    to_theirs = pd.Index(reference.classes, dtype=object).get_indexer(pd.Index(manifest.classes, dtype=object))
    own = reference.own_groups(manifest, numbered=numbered)[rows]
    found = judge(voters, vectors[rows], to_theirs[given[rows]], own, **search)
    ids = manifest.table["sample_id"].to_numpy(dtype=object)
    named = found.neighbors.indices[:, : settings["n_neighbors"]]
    suggested, p = found.suggested, None
    if reference.p_mislabeled is not None:
        p = calibrated(
            voters, reference.p_mislabeled, found.score, n=settings["reference_sample"], seed=settings["seed"], **search
        )
        suggested = np.where(p >= 0.5, suggested, to_theirs[given[rows]])
    columns: dict[str, Any] = {
        "suggested_label": np.array(reference.classes, dtype=object)[suggested],
        "score": found.score,
        "rank": pd.array(_ranks(found.score, ids[rows]), dtype="Int64"),
        "neighbors": pd.Series(
            [[reference.ids[j] for j in line if j >= 0] for line in named], dtype=object, index=rows
        ),
    }
    if p is not None:
        columns["p_mislabeled"] = p
    labels = pd.Categorical.from_codes(given, list(manifest.classes))
    table = pd.DataFrame({"sample_id": ids, "label": labels}).join(pd.DataFrame(columns, index=rows))
    order = ["sample_id", "label", "suggested_label", "score", "p_mislabeled", "rank", "neighbors"]
    n_own = int((own >= 0).sum())
    print(f"Reference: {reference.name}, {len(voters.labels):,} labelled scans; {n_own:,} of the {len(rows):,} new "
          "labels are of its patients or scans, which do not vote on them", flush=True)  # fmt: skip
    why = f"every new scan is compared with all {len(voters.labels):,} of the reference"
    how = {"kind": "exact", "why": why, "k": search["k"], "seconds": round(time.monotonic() - started, 2)}
    return pd.DataFrame(table[[name for name in order if name in table]]), how


def described(reference: Reference | None) -> dict[str, Any] | None:
    """What audit.json says of the reference; no path."""
    return None if reference is None else {"name": reference.name, "n": len(reference.voters.labels)}


def _ranks(scores: np.ndarray, names: np.ndarray) -> np.ndarray:
    """1 = highest score; equal scores by id."""
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[sorted(range(len(scores)), key=lambda row: (-scores[row], names[row]))] = np.arange(1, len(scores) + 1)
    return ranks
