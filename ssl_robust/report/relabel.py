"""The page of a relabelling campaign: how far, what was found, how many wrong labels may be left, how readers agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_robust.relabel.campaign import read_campaign
from ssl_robust.relabel.summary import summarize
from ssl_robust.report.plots import Curve, plot


def build(directory: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Values for `relabel.html`, of the campaign as it stands.

    Args:
        directory: the run directory.
        run: its run.json.
    """
    campaign = read_campaign(directory)
    summary = summarize(campaign)
    found = summary["found"]
    return {
        "summary": summary,
        "blind": campaign.blind,
        "n_needed": campaign.readers,
        "n_rounds": len(campaign.rounds),
        "place": directory.name,
        "plots": [_found_plot(found, summary["left"]["rate"])] if found else [],
    }


def _found_plot(found: list[int], rate: float) -> Any:
    """Wrong labels found, beside what reading at random finds."""
    x = list(range(1, len(found) + 1))
    curves = [Curve("in this order", x, found)]
    if rate == rate:
        ends = [0, len(found)]
        curves.append(Curve("at random", ends, [rate * end for end in ends], color=3, dashed=True))
    return plot(curves, x="labels read", title="Wrong labels found")
