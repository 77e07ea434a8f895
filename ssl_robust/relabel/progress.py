"""A campaign and its answers so far -> what is left, by its control sample."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ssl_robust.relabel.answers import enough_read, standing, table
from ssl_robust.relabel.campaign import Campaign
from ssl_robust.relabel.control import Draws, Remaining, remaining


def left_of(campaign: Campaign, *, level: float) -> Remaining:
    """The bound of wrong labels among those that nobody has read.

    A label is wrong if `apply` would change it; where nobody was sure it stands. Readers who tie gave no answer yet.

    Args:
        campaign: with its queue and ledger.
        level: coverage, e.g. 0.9.
    """
    queue = campaign.queue
    found = _answered(campaign)
    differs = (found["consensus"] != found["given"]).fillna(False)
    wrong = dict(zip(found["sample_id"], differs.to_numpy(dtype=bool).tolist(), strict=True))
    unsure = set(found.loc[found["consensus"].isna(), "sample_id"])
    known = [name in wrong for name in campaign.control]
    m = known.index(False) if not all(known) else len(known)
    named = zip(queue["sample_id"], queue["p_mislabeled"], strict=True)
    unread = {name: p for name, p in named if name not in wrong}  # in the order of asking, each scan once
    return remaining(
        _draws(campaign, wrong, unsure), np.array([wrong[name] for name in campaign.control[:m]], dtype=bool),
        n=campaign.n, n_answered=len(wrong), n_found=sum(wrong.values()),
        p_wrong=np.array(list(unread.values()), dtype=np.float64), level=level,
    )  # fmt: skip


def _answered(campaign: Campaign) -> pd.DataFrame:
    """The rows of `answers.table` that count: scans of the queue that enough have read and that no readers tie on."""
    found = table(standing(campaign.ledger().read()), rule="majority")
    ties = (found["unsettled"] & found["consensus"].isna()).to_numpy(dtype=bool)
    queued = found["sample_id"].isin(campaign.queue["sample_id"].tolist()).to_numpy(dtype=bool)
    return pd.DataFrame(found[enough_read(found, campaign.readers) & ~ties & queued])


def _draws(campaign: Campaign, wrong: dict[str, bool], unsure: set[str]) -> list[Draws]:
    """The control draws of each round, each in the random order, as far as they have answers without a gap."""
    place = {name: number for number, name in enumerate(campaign.control)}
    found: list[Draws] = []
    before: set[str] = set()
    for _, rows in campaign.queue.groupby("round", sort=True):
        drawn = sorted(rows.loc[rows["shown"] == "control", "sample_id"], key=place.__getitem__)
        n_known = next((number for number, name in enumerate(drawn) if name not in wrong), len(drawn))
        # What was queued and has no answer may be wrong: a bound may only be told too large.
        n_before = sum(wrong.get(name, True) for name in before)
        first = np.array([wrong[name] for name in drawn[:n_known]], dtype=bool)
        n_unsure = sum(name in unsure for name in drawn[:n_known])
        found.append(Draws(first, campaign.n - len(before), n_before, n_unsure))
        before |= set(rows["sample_id"])
    return found
