"""How far the readers of the same scans agree, and whether one of them stands apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ssl_robust.check.findings import Finding, found
from ssl_robust.data.agreement import agreement
from ssl_robust.data.dawid_skene import dawid_skene
from ssl_robust.data.manifest import Manifest
from ssl_robust.data.votes import coded

# "The measurement of observer agreement for categorical data", Biometrics 33(1), 159-174, the table of p. 165
_STRENGTHS = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
_PAPER = "Landis and Koch 1977"
_SEEN = 1  # scans of a class, below which nothing is said about a reader of it


def describe_readers(manifest: Manifest, *, rule: str) -> dict[str, Any] | None:
    """Agreement of the readers, with Dawid and Skene's estimate of each where that made the labels.

    Args:
        manifest: the scans.
        rule: `data.consensus`.

    Returns:
        As `agreement`; each of its `readers` has `sensitivity` too: class -> how often the reader names it where it is
        the class, None where the reader hardly saw it. None where there are no several readers.
    """
    if manifest.votes is None:
        return None
    facts = agreement(manifest.votes, pd.Series(manifest.table["label"]))
    if rule == "dawid_skene":
        for reader, rates in zip(facts["readers"], _sensitivities(manifest.votes), strict=True):
            reader["sensitivity"] = rates
    return facts


def _sensitivities(votes: pd.DataFrame) -> list[dict[str, float | None]]:
    """For each reader the diagonal of the estimated error rates, by the class's name."""
    codes, classes = coded(votes)
    estimate = dawid_skene(codes, n_classes=len(classes))
    seen = (codes >= 0).T.astype(np.float64) @ estimate.probabilities  # (R, K) scans of each class that a reader saw
    rates = estimate.confusions.diagonal(axis1=1, axis2=2)
    return [
        {str(name): float(rate) if n >= _SEEN else None for name, rate, n in zip(classes, *each, strict=True)}
        for each in zip(rates, seen, strict=True)
    ]


def judge_readers(facts: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> list[Finding]:
    """What the agreement means for the labels.

    Args:
        facts: as `describe_readers` returns them.
        settings: `readers` of configs/check.yaml.
    """
    if facts is None:
        return []
    if not facts["n_shared"]:
        return [found("look", "readers", "No two readers saw the same scan, so that nothing tells how far they agree: "
                      "let two label some of the same scans")]  # fmt: skip
    return [*_of_kappa(facts, settings["kappa"]), *_who_stands_apart(facts, settings["behind"])]


def _of_kappa(facts: Mapping[str, Any], low: float) -> list[Finding]:
    kappa, n = facts["kappa"]["value"], len(facts["readers"])
    if kappa is None:  # all labels of one class, which is told elsewhere
        return []
    said = (
        f"{n} readers: all agree on {facts['unanimous']:.0%} of the {facts['n_shared']:,} scans that two or more saw, "
        f"{facts['kappa']['name']} {kappa:.2f}, beyond chance {_strength(kappa)!r} ({_PAPER})"
    )
    if kappa > low:
        return [found("fine", "readers", said)]
    return [found("look", "readers", f"{said} and not above readers.kappa={low:g}: no model can be measured more "
                  "surely than such labels; settle what the classes mean, and have the scans read again on which "
                  "readers differ")]  # fmt: skip


def _strength(kappa: float) -> str:
    if kappa < 0:
        return "poor"
    return next((word for highest, word in _STRENGTHS if kappa <= highest), "almost perfect")


def _who_stands_apart(facts: Mapping[str, Any], behind: float) -> list[Finding]:
    """Readers whose share of labels with the consensus is surely lower than that of all others together.

    Surely: by the upper end of Clopper and Pearson's 95 % interval, so that a few scans blame nobody.
    """
    readers = [each for each in facts["readers"] if each["n_shared"]]
    same = [round(each["with_label"] * each["n_shared"]) for each in readers]
    findings = []
    for reader, k in zip(readers, same, strict=True):
        n, others = reader["n_shared"], sum(each["n_shared"] for each in readers) - reader["n_shared"]
        share = (sum(same) - k) / others if others else 0.0
        if binomtest(k, n).proportion_ci().high < share - behind:
            text = (
                f"{reader['name']} gave the label that the scan has in {k / n:.0%} of {n:,} scans, the other readers "
                f"in {share:.0%} of theirs: look at some of them with this reader, or leave the reader out"
            )
            findings.append(found("look", "readers", text))
    return findings
