"""The queue of a relabelling campaign as scans for another tool, in the order of asking.

A tool's answers come back by `sample_id`, or by the name of the image file, which is an id too and says nothing of what
the scan is called here; names of folders are often classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.identifiers import hashed
from ssl_robust.data.manifest import Manifest
from ssl_robust.exchange.table import UNSURE
from ssl_robust.files import UserError, existing, read_json
from ssl_robust.run import read_run

_TOLD = ("label", "suggested_label", "p_mislabeled")  # which a blind reader does not see


@dataclass(frozen=True)
class Queued:
    """What readers are asked.

    Attributes:
        place: the campaign's directory.
        table: by `sample_id`, one row for each scan in the order of asking: `_TOLD`.
        blind: whether readers see nothing of that.
    """

    place: Path
    table: pd.DataFrame
    blind: bool


def read_queue(run: str | Path) -> Queued:
    """The queue of a campaign; a scan that comes again is there once.

    Args:
        run: the campaign's directory.

    Raises:
        UserError: there is none.
    """
    place = existing(run, "queue", folder=True)
    read_run(place, stage="relabel")
    about, rows = read_json(place / "campaign.json"), read_table(existing(place / "queue.csv", "queue"))
    once = rows.drop_duplicates("sample_id").set_index("sample_id")
    return Queued(place, pd.DataFrame(once[list(_TOLD)]), bool(about["blind"]))


def with_queue(manifest: Manifest, queued: Queued, *, first: int | None) -> Manifest:
    """The scans of a queue without their labels, which nobody has given again yet.

    Args:
        manifest: the scans of the audit that the campaign began with.
        queued: of `read_queue`.
        first: how many; None: all.

    Returns:
        With `key` and `path`, names by which answers come back; an empty `answer`; `rank`, the place in the queue; and,
        unless readers are blind, `given`, `suggested_label`, and `score` and `p_mislabeled`, the probability that the
        given label is wrong. "unsure" is one of the classes.

    Raises:
        UserError: the queue is of other scans.
    """
    asked = queued.table.head(len(queued.table) if first is None else first)
    rows = pd.Index(manifest.table["sample_id"]).get_indexer(asked.index)
    if (rows < 0).any():
        name = asked.index[int((rows < 0).argmax())]
        raise UserError(f"queue={queued.place} asks for {name!r}, which these data do not have; give the data that "
                        "were audited")  # fmt: skip
    chosen = manifest.take(rows)
    ids = pd.Series(chosen.table["sample_id"])
    keys = ids.map(key_of).astype("string")
    nothing = pd.Series(pd.NA, index=ids.index, dtype="string")
    table = chosen.table.assign(
        sample_id=keys if queued.blind else ids, path=keys, key=keys, label=nothing, true_label=nothing, answer=nothing,
        patient_id=nothing, split=nothing, rank=pd.array(np.arange(1, len(ids) + 1), dtype="Int64"),
    )  # fmt: skip
    if not queued.blind:
        told = asked.reset_index(drop=True)
        wrong = told["p_mislabeled"].astype("Float64")
        table = table.assign(given=told["label"], suggested_label=told["suggested_label"], score=wrong,
                             p_mislabeled=wrong)  # fmt: skip
    return replace(chosen, table=table, classes=tuple(dict.fromkeys([*chosen.classes, UNSURE])), votes=None)


def key_of(sample_id: str) -> str:
    """20 hexadecimal digits that stand for a scan in front of readers."""
    return hashed(sample_id, b"", b"key")


def scan_of(text: str, known: dict[str, str]) -> str | None:
    """The scan that another tool's text names: its id, its key, or a file that is called by its key; None: none.

    Args:
        text: e.g. `train/17`, or `images/012-0f3a….png`.
        known: of `by_key`.
    """
    if text in known:
        return known[text]
    stem = Path(text.replace("\\", "/")).name.partition(".")[0]
    return known.get(stem.rpartition("-")[2])


def by_key(ids: Iterable[str]) -> dict[str, str]:
    """Ids and keys -> ids."""
    names = list(ids)
    return {**{key_of(name): name for name in names}, **{name: name for name in names}}


def class_of(text: str, classes: Iterable[str], where: str) -> str | None:
    """The class that another tool's answer names; None for "unsure".

    Args:
        text: the answer.
        classes: those of the campaign.
        where: the file, for messages.

    Raises:
        UserError: it is none of them.
    """
    names = list(classes)
    if text in names:
        return text
    if text == UNSURE:
        return None
    near = difflib.get_close_matches(text, names, n=1)
    raise UserError(f"{where} holds the answer {text!r}, which is none of the classes ({', '.join(names)}) and not "
                    f"{UNSURE!r}{f', did you mean {near[0]!r}' if near else ''}; mend it there")  # fmt: skip
