"""`ssl-robust relabel adjudicate`: scans on which readers differ -> a round of the queue for somebody who decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ssl_robust.relabel.answers import standing, table
from ssl_robust.relabel.campaign import Campaign, add_round, read_campaign
from ssl_robust.relabel.words import Option, read_words

USAGE = "ssl-robust relabel adjudicate run=runs/review"


def command(words: Sequence[str]) -> Path | None:
    """Append the scans on which readers differ to a campaign's queue.

    Args:
        words: `run=DIRECTORY`, as typed.

    Returns:
        The campaign's directory, whose report is to be drawn; None where there is nothing to decide.

    Raises:
        UserError: no such option, or no campaign there.
    """
    if {"-h", "--help", "help"} & set(words):
        print(f"{USAGE}\n\n  run=DIR  a campaign; scans on which readers differ are put before somebody who decides")
        return None
    campaign = read_campaign(read_words(words, {"run": Option()}, what="relabel adjudicate", usage=USAGE)["run"])
    rows = to_decide(campaign)
    if rows.empty:
        print("No two readers differ on a scan that nobody has decided or been asked to decide")
        return None
    add_round(campaign, rows)
    print(f"Round {len(campaign.rounds) + 1}: {len(rows):,} scans on which readers differ")
    return campaign.place


def to_decide(campaign: Campaign) -> pd.DataFrame:
    """The rows of the queue, one for each scan on which readers differ and that is not in it to be decided."""
    found = table(standing(campaign.ledger().read()), rule="majority")
    queue = campaign.queue
    asked = queue.loc[queue["shown"] == "adjudication", "sample_id"]
    wanted = pd.Series(found.loc[found["unsettled"] & ~found["sample_id"].isin(list(asked)), "sample_id"])
    rows = pd.DataFrame(queue[queue["sample_id"].isin(wanted.tolist())]).drop_duplicates("sample_id")
    return rows.assign(shown="adjudication").reset_index(drop=True)
