"""The page of a relabelling campaign: how far, what was found, how many wrong labels may be left, how readers agree."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_robust.relabel.campaign import read_campaign
from ssl_robust.relabel.control import TELLING
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
    found, left = summary["found"], summary["left"]
    by_chance = left["rate"] if left["n_control"] >= TELLING else None
    return {
        "summary": summary,
        "blind": campaign.blind,
        "n_needed": campaign.readers,
        "n_rounds": len(campaign.rounds),
        "rate_is_known": left["n_control"] >= TELLING,
        "place": _typed(directory, run),
        "plots": [_found_plot(found, by_chance)] if found else [],
    }


def _typed(directory: Path, run: Mapping[str, Any]) -> str:
    """The directory as it was typed, for commands; of an absolute one, which may name people, its own name."""
    typed = str(run.get("config", {}).get("out") or directory)
    return directory.name if Path(typed).expanduser().is_absolute() else shlex.quote(typed)


def _found_plot(found: list[int], by_chance: float | None) -> Any:
    """Wrong labels found, beside what reading at random finds, where that is known."""
    curves = [Curve("in this order", range(len(found) + 1), [0, *found])]
    if by_chance is not None:
        ends = [0, len(found)]
        curves.append(Curve("at random", ends, [by_chance * end for end in ends], color=3, dashed=True))
    return plot(curves, x="labels read", title="Wrong labels found")
