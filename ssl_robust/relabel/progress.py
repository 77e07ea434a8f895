"""A campaign and its answers so far -> what is left, by its control sample."""

from __future__ import annotations

import numpy as np

from ssl_robust.relabel.campaign import Campaign
from ssl_robust.relabel.control import Draws, Remaining, remaining
from ssl_robust.relabel.loop import answers_of


def left_of(campaign: Campaign, *, level: float) -> Remaining:
    """The bound of wrong labels among those that nobody has read.

    A label is wrong if its reader says another class; where readers were unsure it stands.

    Args:
        campaign: with its queue and ledger.
        level: coverage, e.g. 0.9.
    """
    answers = answers_of(campaign)
    queue = campaign.queue
    given = dict(zip(queue["sample_id"], queue["label"], strict=True))
    wrong = {name: answer is not None and answer != given[name] for name, answer in answers.items() if name in given}
    known = [name in wrong for name in campaign.control]
    m = known.index(False) if not all(known) else len(known)
    named = zip(queue["sample_id"], queue["p_mislabeled"], strict=True)
    unread = {name: p for name, p in named if name not in wrong}  # in the order of asking, each scan once
    p_wrong = np.array(list(unread.values()), dtype=np.float64)
    return remaining(
        _draws(campaign, wrong), np.array([wrong[name] for name in campaign.control[:m]], dtype=bool), n=campaign.n,
        n_answered=len(wrong), n_found=sum(wrong.values()), p_wrong=p_wrong if len(p_wrong) else None, level=level,
    )  # fmt: skip


def _draws(campaign: Campaign, wrong: dict[str, bool]) -> list[Draws]:
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
        found.append(Draws(first, campaign.n - len(before), n_before))
        before |= set(rows["sample_id"])
    return found
