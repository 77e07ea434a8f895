"""How far a campaign has come: what its report shows, and `relabel.json`; all of it follows from queue and ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.written import write_table
from ssl_robust.relabel.answer import Answer
from ssl_robust.relabel.answers import FILE, enough_read, of_kind, standing, table, votes_of
from ssl_robust.relabel.campaign import Campaign, read_campaign
from ssl_robust.relabel.consensus import between_readers, with_themselves
from ssl_robust.relabel.progress import left_of
from ssl_robust.relabel.words import Option, read_words
from ssl_robust.run import read_run, write_json
from ssl_robust.settings import stage_defaults

SUMMARY = "relabel.json"
USAGE = "ssl-robust relabel report run=runs/review"


def command(words: Sequence[str]) -> Path | None:
    """Write answers.csv and relabel.json of a campaign as it stands.

    Args:
        words: `run=DIRECTORY`, as typed.

    Returns:
        The campaign's directory, whose report is to be drawn; None where only help was asked for.

    Raises:
        UserError: no such option, or no campaign there.
    """
    if {"-h", "--help", "help"} & set(words):
        print(f"{USAGE}\n\n  run=DIR  a campaign; its report, answers.csv and relabel.json are made anew")
        return None
    campaign = read_campaign(read_words(words, {"run": Option()}, what="relabel report", usage=USAGE)["run"])
    print(write_summary(campaign)["sentence"])
    return campaign.place


def write_summary(campaign: Campaign) -> dict[str, Any]:
    """Write answers.csv and relabel.json, whole; returns what is in the latter, see `summarize`."""
    summary = summarize(campaign)
    write_table(campaign.place / FILE, table(standing(campaign.ledger().read()), rule="majority"))
    write_json(campaign.place / SUMMARY, summary)
    return summary


def summarize(campaign: Campaign) -> dict[str, Any]:
    """What is to be said of a campaign now.

    Returns:
        `n` labels, `n_asked` scans in the queue, `n_read` by as many readers as have to, `n_open` in the queue still;
        of those read `n_wrong`, `n_right`, `n_unsure` (nobody was sure); `n_unsettled` on which readers differ;
        `n_answers`;
        `classes`: `name` of the given label, `n` read, `n_wrong`, `taken_for` (the class that most of these are);
        `shown`: `kind` (rank, control), `n`, `n_wrong`;
        `found`: wrong labels among the first 1, 2, … that were read;
        `readers`: `name`, `n`, `n_unsure`, `seconds` (median; None: not known);
        `between`, `themselves`: agreement, see `consensus`;
        `left`: see `control.Remaining`, with its `share`; `sentence`: the rule for stopping, in words.
    """
    config = read_run(campaign.place)["config"]
    level = float(config.get("level", stage_defaults("relabel")["level"]))
    draws = stage_defaults("audit")["bootstrap"]
    stand = standing(campaign.ledger().read())
    answers = table(stand, rule="majority")
    read = pd.DataFrame(answers[enough_read(answers, campaign.readers)]).sort_values("read_at", kind="stable")
    sure = pd.DataFrame(read[read["consensus"].notna()])
    wrong = (sure["consensus"] != sure["given"]).fillna(True).to_numpy(dtype=bool)
    left = left_of(campaign, level=level)
    asked = set(campaign.queue["sample_id"])
    return {
        "n": campaign.n, "n_asked": len(asked), "n_read": len(read), "n_answers": len(stand),
        "n_open": len(asked - set(read["sample_id"])),
        "n_wrong": int(wrong.sum()), "n_right": int((~wrong).sum()), "n_unsure": len(read) - len(sure),
        "n_unsettled": int(answers["unsettled"].to_numpy(dtype=bool).sum()),
        "classes": _by_class(sure, wrong, campaign.classes),
        "shown": _by_kind(campaign, sure, wrong),
        "found": np.cumsum(wrong).tolist(),
        "readers": _readers(stand),
        "between": between_readers(votes_of(stand), **draws, seed=campaign.seed),
        "themselves": with_themselves(of_kind(stand, None), of_kind(stand, "repeat"), level=draws["level"]),
        "left": {**asdict(left), "share": left.share},
        "sentence": f"{left.sentence()[0].upper()}{left.sentence()[1:]}",
    }  # fmt: skip


def _by_class(sure: pd.DataFrame, wrong: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for name in classes:
        own = (sure["given"] == name).fillna(False).to_numpy(dtype=bool)
        taken = pd.Series(sure["consensus"].to_numpy(dtype=object)[own & wrong]).value_counts()
        rows.append({"name": name, "n": int(own.sum()), "n_wrong": int((own & wrong).sum()),
                     "taken_for": str(taken.index[0]) if len(taken) else None})  # fmt: skip
    return rows


def _by_kind(campaign: Campaign, sure: pd.DataFrame, wrong: np.ndarray) -> list[dict[str, Any]]:
    """Errors among the scans that the sampler chose and among those that were drawn at random."""
    queue = campaign.queue.iloc[::-1]  # the first showing counts
    kinds = dict(zip(queue["sample_id"], queue["shown"], strict=True))
    own = np.array([kinds.get(name) for name in sure["sample_id"]], dtype=object)
    return [{"kind": kind, "n": int((own == kind).sum()), "n_wrong": int(wrong[own == kind].sum())}
            for kind in ("rank", "control")]  # fmt: skip


def _readers(stand: Sequence[Answer]) -> list[dict[str, Any]]:
    rows = []
    for name in sorted({each.annotator for each in stand}):
        own = [each for each in stand if each.annotator == name]
        seconds = [each.seconds for each in own if each.shown != "imported"]  # whose time nobody took
        rows.append({"name": name, "n": len(own), "n_unsure": sum(each.answer is None for each in own),
                     "seconds": float(np.median(seconds)) if seconds else None})  # fmt: skip
    return rows
