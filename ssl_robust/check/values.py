"""What the values of the scans are like: how much of their range is used, and which scans show nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.check.appearance import Appearance
from ssl_robust.check.files import largest_values, used_bits
from ssl_robust.check.findings import Finding, counted, found
from ssl_robust.data.scanset import ScanSet

_READ = 64  # scans that are read at full size to see how far their values go


def describe_values(
    look: Appearance, scans: ScanSet, facts: pd.DataFrame, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The range that is used, and the rows of scans that are blank, burnt out or framed.

    Args:
        look: of all scans.
        scans: the decoded scans.
        facts: as `ssl_robust.check.files.file_facts` returns them.
        settings: of configs/check.yaml: `blank`, `saturated` and `margin`.

    Returns:
        `type`; `largest` stored value of those with the most bits, and `used_bits` of them; `blank`, `saturated` and
        `framed`: rows; `black` and `white`: mean shares of pixels at the ends.
    """
    deepest = np.arange(len(scans))
    if scans.pixels.dtype == np.uint16 and "bits" in facts and "16" in set(facts["bits"]):
        deepest = np.flatnonzero(facts["bits"].to_numpy() == "16")  # scans of 8 bits among them were spread over 16
    top = int(np.iinfo(scans.pixels.dtype).max)
    largest = int(look.largest[deepest].max())
    if largest <= top // 2 and scans.manifest.source.files is not None:
        # Reducing a scan takes its brightest points away, so some are read as they are.
        step = max(1, len(deepest) // _READ)
        largest = max(largest_values(scans.manifest, deepest[::step][:_READ]), 1)
    blank = look.contrast <= settings["blank"] * max(largest, 1) / top
    framed = (look.margins > settings["margin"]).any(axis=1) & ~blank
    saturated = (look.white > settings["saturated"]) & ~blank
    return {
        "type": str(scans.pixels.dtype),
        "largest": largest,
        "used_bits": used_bits(largest),
        "blank": np.flatnonzero(blank),
        "saturated": np.flatnonzero(saturated),
        "framed": np.flatnonzero(framed),
        "black": float(look.black.mean()),
        "white": float(look.white.mean()),
    }


def judge_values(
    facts: Mapping[str, Any], ids: np.ndarray, settings: Mapping[str, Any], *, has_window: bool
) -> list[Finding]:
    """What the values mean for training.

    Args:
        facts: as `describe_values` returns them.
        ids: (N,) ids of the scans.
        settings: as there.
        has_window: whether the data have files, whose values `data.window` maps.
    """
    findings, n = [], len(ids)
    bits = facts["used_bits"]
    if facts["type"] == "uint16" and bits < 16:
        remedy = f"data.window='[0,{2**bits - 1}]' spreads them" if has_window else (
            f"multiply the arrays by {2 ** (16 - bits)} before they are saved"
        )  # fmt: skip
        findings.append(found("problem", "values", f"No value is above {facts['largest']:,} of 65,535 ({bits} bits "
                              f"stored in 16), so that all scans look black: {remedy}"))  # fmt: skip
    for name, what, remedy in (
        ("blank", "nearly constant", "nothing can be learned from them; leave them out"),
        ("saturated", f"burnt out (more than {settings['saturated']:.0%} of the pixels at the highest value)",
         "was a window too narrow? (data.window=)" if has_window else "see whether they show what they should"),
    ):  # fmt: skip
        if len(rows := facts[name]):
            findings.append(
                found("look", "values", f"{counted(len(rows), 'scan')} of {n:,} {what}: {remedy}", ids[rows])
            )
    if len(rows := facts["framed"]):
        findings.append(found("look", "margins", f"{counted(len(rows), 'scan')} of {n:,} with a margin of one value, "
                              f"wider than {settings['margin']:.0%} of a side: harmless if all classes have it, else "
                              "crop it", ids[rows]))  # fmt: skip
    if not findings:
        findings.append(found("fine", "values", "No scan is blank, burnt out or framed"))
    return findings
