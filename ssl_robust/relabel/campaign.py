"""A campaign on disk: what readers are asked, in which order; what they answer stands in the ledger beside it.

`queue.csv` is the order of asking, one row for each showing, and `control.csv` the random order from which the control
sample is taken. Rounds are appended; a row that was there never changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.written import unguarded_text, write_table
from ssl_robust.files import UserError, read_json, write_json
from ssl_robust.relabel.answer import SHOWN
from ssl_robust.relabel.ledger import Ledger
from ssl_robust.run import read_run

STAGE = "relabel"
ABOUT, QUEUE, CONTROL, LEDGER = "campaign.json", "queue.csv", "control.csv", "ledger.jsonl"
COLUMNS = ("position", "round", "sample_id", "shown", "label", "suggested_label", "p_mislabeled", "expected_gain",
           "cluster", "neighbors")  # fmt: skip
_COUNTED = ("position", "round")  # filled in here
_VERSION = 1
_WHOLE, _FLOATS = ("position", "round", "cluster"), ("p_mislabeled", "expected_gain")


@dataclass(frozen=True)
class Campaign:
    """What a campaign asks.

    Attributes:
        place: its run directory.
        audit: directory of the audit that it began with.
        data: node of the configuration with which the scans are read again; None where there are only vectors.
        classes: names that an answer may have.
        n: how many scans had a label.
        blind: whether the given label and the suggestion are hidden.
        readers: how many different readers each scan needs.
        seed: of everything random in it.
        rounds: facts about each round; `n_shown` is how many rows of the queue are its own.
        queue: one row for each showing: `position` and `round` (from 1), `sample_id`, `shown` (as in `Answer`), `label`
            as given, `suggested_label`, `p_mislabeled`, `expected_gain` (what the sampler ordered by), `cluster`
            (near-duplicates share one, -1 = none) and `neighbors` (list of ids).
        control: ids of all labelled scans, in the random order of which the control sample is the beginning.
    """

    place: Path
    audit: str
    data: Mapping[str, Any] | None
    classes: tuple[str, ...]
    n: int
    blind: bool
    readers: int
    seed: int
    rounds: tuple[Mapping[str, Any], ...]
    queue: pd.DataFrame
    control: tuple[str, ...]

    def ledger(self) -> Ledger:
        """The answers to it."""
        return Ledger(self.place / LEDGER)


def start_campaign(
    place: str | Path,
    queue: pd.DataFrame,
    *,
    audit: str | Path,
    data: Mapping[str, Any] | None,
    classes: Sequence[str],
    control: Sequence[str],
    blind: bool,
    readers: int,
    seed: int,
) -> Campaign:
    """Write the files of a campaign into a run directory that is there.

    Args:
        place: the directory.
        queue: the first round, in the order of asking; `Campaign.queue` without `position` and `round`.
        audit: as in `Campaign`, as are the others.
        data: node of the scans.
        classes: names.
        control: all labelled scans in random order.
        blind: hidden labels.
        readers: readers per scan.
        seed: of everything random.

    Raises:
        ValueError: the queue lacks a column, or asks for what is not among the labelled scans.
    """
    place = Path(place)
    _check_rows(queue, control)
    write_table(place / CONTROL, pd.DataFrame({"sample_id": pd.array(list(control), dtype="string")}))
    write_table(place / QUEUE, _numbered(queue, after=0, number=1))
    about = {"version": _VERSION, "audit": str(audit), "data": data, "classes": list(classes), "n": len(control),
             "blind": blind, "readers": readers, "seed": seed, "rounds": [{"n_shown": len(queue)}]}  # fmt: skip
    write_json(place / ABOUT, about)  # the last one: without it there is no campaign
    return read_campaign(place, bare=True)


def add_round(campaign: Campaign, queue: pd.DataFrame) -> Campaign:
    """Append a round to the queue.

    Args:
        campaign: as it is now.
        queue: the new rows, as in `start_campaign`.

    Raises:
        ValueError: as in `start_campaign`.
    """
    _check_rows(queue, campaign.control)
    added = _numbered(queue, after=len(campaign.queue), number=len(campaign.rounds) + 1)
    write_table(campaign.place / QUEUE, pd.concat([campaign.queue, added], ignore_index=True))
    about = read_json(campaign.place / ABOUT)
    # A kill before this line leaves rows that belong to no round, which `read_campaign` passes over.
    write_json(campaign.place / ABOUT, {**about, "rounds": [*campaign.rounds, {"n_shown": len(queue)}]})
    return read_campaign(campaign.place, bare=True)


def read_campaign(run: str | Path, *, bare: bool = False) -> Campaign:
    """The campaign of a run directory.

    Args:
        run: the directory.
        bare: whether it may lack its run.json, being made right now.

    Raises:
        UserError: no campaign is there, a newer version wrote it, or one of its files is damaged.
    """
    place = Path(run).expanduser()
    if not bare:
        read_run(place, stage=STAGE)
    if not (place / ABOUT).is_file():
        raise UserError(f"{run} is an unfinished campaign (no {ABOUT} in it); make it again, with overwrite=true")
    about = read_json(place / ABOUT)
    if about.get("version") != _VERSION:
        raise UserError(f"{place / ABOUT} was written by another version of ssl-robust; update it with "
                        "`pip install -U ssl-robust`")  # fmt: skip
    try:
        n_shown = sum(int(each["n_shown"]) for each in about["rounds"])
        queue = _typed(read_table(place / QUEUE)).head(n_shown)
        if len(queue) < n_shown:
            raise ValueError(f"{QUEUE} has {len(queue)} rows, expected {n_shown}")
        control = read_table(place / CONTROL)["sample_id"].tolist()
        return Campaign(
            place, str(about["audit"]), about["data"], tuple(map(str, about["classes"])), int(about["n"]),
            bool(about["blind"]), int(about["readers"]), int(about["seed"]), tuple(about["rounds"]), queue,
            tuple(control),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"the campaign in {run} is damaged ({error}); put its files back from a copy") from None


def scans_of(audit: str | Path) -> dict[str, Any] | None:
    """The `data` node that reads the scans of a finished audit; None where it was made of vectors alone.

    Args:
        audit: its directory. Where it was made of the vectors of an embed run, the scans are those of that run.

    Raises:
        UserError: no audit is there.
    """
    data = dict(read_run(Path(audit).expanduser(), stage="audit")["config"]["data"])
    if not str(data["_target_"]).endswith(".read_embeddings"):
        return data
    try:
        return dict(read_run(Path(str(data["path"])).expanduser(), stage="embed")["config"]["data"])
    except UserError:
        return None


def _check_rows(queue: pd.DataFrame, control: Sequence[str]) -> None:
    if missing := [name for name in COLUMNS if name not in queue and name not in _COUNTED]:
        raise ValueError(f"the queue has no column {missing[0]!r}; expected {', '.join(COLUMNS[2:])}")
    if unknown := set(queue["sample_id"]) - set(control):
        raise ValueError(f"the queue asks for {min(unknown)!r}, which is not among the {len(control)} labelled scans")
    if wrong := set(queue["shown"]) - set(SHOWN):
        raise ValueError(f"shown is {min(wrong)!r}; expected one of {', '.join(SHOWN)}")


def _numbered(queue: pd.DataFrame, *, after: int, number: int) -> pd.DataFrame:
    position = np.arange(after + 1, after + len(queue) + 1)
    return pd.DataFrame(queue.assign(position=position, round=number)[list(COLUMNS)])


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """The queue as it was before it was written: whole numbers, numbers that may be NaN, lists of ids."""
    typed: dict[str, Any] = {name: table[name] for name in COLUMNS}
    typed |= {name: table[name].astype("int64") for name in _WHOLE}
    typed |= {name: table[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan) for name in _FLOATS}
    typed["neighbors"] = [_ids(text) for text in table["neighbors"]]
    return pd.DataFrame(typed)


def _ids(text: Any) -> list[str]:
    return [] if pd.isna(text) else [unguarded_text(each) for each in json.loads(text)]
