"""How far the readers of the same scans agree, and whether one of them stands apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ssl_robust.check.findings import Finding, counted, found
from ssl_robust.data.agreement import agreement, fleiss_kappa
from ssl_robust.data.dawid_skene import dawid_skene
from ssl_robust.data.manifest import Manifest
from ssl_robust.data.votes import coded, consensus, vote_counts

# "The measurement of observer agreement for categorical data", Biometrics 33(1), 159-174, the table of p. 165
_STRENGTHS = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
_PAPER = "Landis and Koch 1977"
_SEEN = 1  # scans of a class, below which nothing is said about a reader of it


def describe_readers(manifest: Manifest, *, rule: str, n_resamples: int, seed: int) -> dict[str, Any] | None:
    """Agreement of the readers, with Dawid and Skene's estimate of each where that made the labels.

    Args:
        manifest: the scans.
        rule: `data.consensus`.
        n_resamples: of scans, for the interval of kappa.
        seed: of these.

    Returns:
        As `agreement`; its `kappa` has the 95 % interval, `low` and `high`. Of Dawid and Skene's model also
        `n_against_majority`, how many labels it gave against that, and for each of the `readers` `sensitivity`:
        class -> how often the reader names it where it is the class, None where the reader hardly saw it. None where
        there are no several readers.
    """
    if manifest.votes is None:
        return None
    facts = agreement(manifest.votes, pd.Series(manifest.table["label"]))
    low, high = _interval(manifest.votes, n_resamples, seed)
    facts["kappa"] |= {"low": low, "high": high}
    if rule == "dawid_skene":
        pairs = pd.DataFrame({"label": manifest.table["label"], "most": consensus(manifest.votes, "majority")}).dropna()
        facts["n_against_majority"] = int(np.count_nonzero(pairs["label"].to_numpy() != pairs["most"].to_numpy()))
        for reader, rates in zip(facts["readers"], _sensitivities(manifest.votes), strict=True):
            reader["sensitivity"] = rates
    return facts


def _interval(votes: pd.DataFrame, n_resamples: int, seed: int) -> tuple[float | None, float | None]:
    """Of Fleiss' kappa, by bootstrap over the scans with two labels or more; of two readers Cohen's is nearly that."""
    codes, classes = coded(votes)
    counts = vote_counts(codes, n_classes=len(classes))
    counts = counts[counts.sum(axis=1) > 1]
    rng = np.random.default_rng(seed)
    draws = [
        fleiss_kappa(counts[rng.integers(len(counts), size=len(counts))]) for _ in range(n_resamples) if len(counts)
    ]
    told = [each for each in draws if not np.isnan(each)]
    if not told:
        return None, None
    low, high = np.quantile(told, [0.025, 0.975])
    return float(low), float(high)


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
    return [
        *_of_kappa(facts, settings["kappa"], settings["few"]),
        *_who_stands_apart(facts, settings["behind"]),
        *_of_model(facts.get("n_against_majority", 0)),
    ]


def _of_kappa(facts: Mapping[str, Any], lowest: float, few: int) -> list[Finding]:
    kappa, n = facts["kappa"], len(facts["readers"])
    if kappa["value"] is None:  # all labels of one class, which is told elsewhere
        return []
    said = f"{n} readers: all agree on {facts['unanimous']:.0%} of the {facts['n_shared']:,} scans that two or more saw"
    if facts["n_shared"] < few:
        return [found("fine", "readers", f"{said}, too few to tell how far they agree beyond chance")]
    said += (f", {kappa['name']} {kappa['value']:.2f} (95% interval {kappa['low']:.2f} to {kappa['high']:.2f}), beyond "
             f"chance {_strength(kappa['value'])!r} ({_PAPER})")  # fmt: skip
    if kappa["high"] > lowest:
        return [found("fine", "readers", said)]
    return [found("look", "readers", f"{said} and surely not above readers.kappa={lowest:g}: no model can be measured "
                  "more surely than such labels; settle what the classes mean, and have the scans read again on which "
                  "readers differ")]  # fmt: skip


def _of_model(n: int) -> list[Finding]:
    """Where a model of the readers outvoted them."""
    if not n:
        return []
    return [found("look", "readers", f"{counted(n, 'label')} by Dawid and Skene's model, not by most readers: it "
                  "trusts those more who agree more; look at some, or say data.consensus=majority")]  # fmt: skip


def _strength(kappa: float) -> str:
    if kappa < 0:
        return "poor"
    return next((word for highest, word in _STRENGTHS if kappa <= highest), "almost perfect")


def _who_stands_apart(facts: Mapping[str, Any], behind: float) -> list[Finding]:
    """Readers who agree with the others surely less often than these do among themselves.

    Surely: by the upper end of Clopper and Pearson's 95 % interval, so that a few scans blame nobody. Of two readers
    nothing tells which of them is apart.
    """
    findings = []
    for reader in facts["readers"]:
        n, share, others = reader["n_shared"], reader["with_others"], reader["others"]
        if not n or others is None:
            continue
        if binomtest(round(share * n), n).proportion_ci().high < others - behind:
            text = (
                f"{reader['name']} agrees with the other readers of {n:,} scans in {share:.0%}, these among themselves "
                f"in {others:.0%}: look at some of the scans with this reader, or leave the reader out"
            )
            findings.append(found("look", "readers", text))
    return findings
