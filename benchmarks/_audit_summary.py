"""The lines of audit_quality.py -> Markdown: who finds most, and whether our own numbers can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

OURS = "ssl_robust"
_CELL = ["set", "encoder", "noise", "seed"]
_NEAR = 0.005  # of average precision: as good as the best
_POINTS = 0.03  # of the share of wrong labels: an estimate that helps to plan


def summary(lines: Sequence[dict[str, Any]]) -> str:
    """All tables.

    Args:
        lines: one per cell and side, none twice.
    """
    if not lines:
        return "no cell is finished"
    table = pd.DataFrame(
        [
            {**{name: line[name] for name in _CELL}, "true_rate": line["rate"], "method": method, **row}
            for line in lines
            for method, row in line["rows"].items()
        ]
    )
    parts = [_by_noise(table, measure) for measure in ("ap", "auroc", "precision")]
    if OURS in set(table["method"]):
        parts += [_duel(table), _trust(table)]
    return "\n\n".join(parts)


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def _by_noise(table: pd.DataFrame, measure: str) -> str:
    """Mean of a measure per method and noise, mean rank by it, seconds."""
    wide = table.pivot_table(index=_CELL, columns="method", values=measure)
    whole = wide.dropna()
    ranks = whole.rank(axis=1, ascending=False).mean()
    noises = list(dict.fromkeys(table["noise"]))
    seconds = table.groupby("method")["seconds"].median()
    names = {"ap": "average precision", "auroc": "AUROC", "precision": "precision at the true number of errors"}
    rows = [
        f"Mean {names[measure]}; {len(whole)} of {len(wide)} cells have all methods, the others are left out.",
        "",
        *_head("method", *noises, "all", "mean rank", "median seconds"),
    ]
    for method in whole.mean().sort_values(ascending=False).index:
        per_noise = whole[method].groupby(level="noise").mean()
        cells = [f"{per_noise[noise]:.3f}" if noise in per_noise else "" for noise in noises]
        mean = f"{whole[method].mean():.3f} | {ranks[method]:.1f} | {seconds[method]:.1f}"
        rows.append(f"| {method} | {' | '.join(cells)} | {mean} |")
    return "\n".join(rows)


def _duel(table: pd.DataFrame) -> str:
    """Ours against the single peer with the highest mean, and against the best peer of each cell."""
    wide = table.pivot_table(index=_CELL, columns="method", values="ap").dropna()
    peers = wide.drop(columns=OURS)
    single = peers.mean().idxmax()
    rows = [
        f"Ours against the peers, average precision; the single best peer over all cells is {single}. Seeds and "
        "encoders of one set are not independent, so that p is too small.",
        "",
        *_head("cells", "n", f"best or within {_NEAR} of the best peer", "gap to 1 closed, single best",
               "the same, median", "gap to 1 closed, best of each cell", "ours minus single best", "Wilcoxon p"),
    ]  # fmt: skip
    noises, sets = (wide.index.get_level_values(level) for level in ("noise", "set"))
    dependent = np.asarray(noises == "class-dependent 20 %")
    chosen = {"all": np.ones(len(wide), bool), "class-dependent": dependent, "the others": ~dependent}
    chosen |= {str(name): np.asarray(sets == name) for name in sets.unique()}
    for name, rows_of in chosen.items():
        if rows_of.any():
            rows.append(f"| {name} | {_against(wide[OURS][rows_of], peers[rows_of], str(single))} |")
    return "\n".join(rows)


def _against(ours: pd.Series, peers: pd.DataFrame, single: str) -> str:
    best, one = peers.max(axis=1), peers[single]
    near = (ours >= best - _NEAR).mean()
    closed, closed_best = (ours - one) / (1 - one), (ours - best) / (1 - best)
    differences = ours - one
    p = wilcoxon(differences).pvalue if (differences != 0).any() else 1.0
    return (
        f"{len(ours)} | {near:.0%} | {closed.mean():+.1%} | {closed.median():+.1%} | {closed_best.mean():+.1%} | "
        f"{differences.mean():+.4f} | {p:.2g}"
    )


def _trust(table: pd.DataFrame) -> str:
    """Probabilities, pooled reliability, noise rates and their intervals."""
    rows = _head("method", "cells with a probability", "mean ECE", "mean Brier", "cells with a rate",
                 "mean error of the rate", "within 3 points", "90 % interval covers")  # fmt: skip
    for method, mine in table.groupby("method"):
        claims = mine.dropna(subset=["ece"]) if "ece" in mine else mine.iloc[:0]
        rates = mine.dropna(subset=["rate"])
        if claims.empty and rates.empty:
            continue
        errors = (rates["rate"] - rates["true_rate"]).abs()
        spans = mine.dropna(subset=["low", "high"])
        covered = spans["true_rate"].between(spans["low"].astype(float), spans["high"].astype(float)).mean()
        probability = f"{claims['ece'].mean():.3f} | {claims['brier'].mean():.3f}" if len(claims) else " | "
        rate = f"{errors.mean():.3f} | {(errors <= _POINTS).mean():.0%}" if len(rates) else " | "
        rows.append(f"| {method} | {len(claims)} | {probability} | {len(rates)} | {rate} | "
                    f"{f'{covered:.0%}' if len(spans) else ''} |")  # fmt: skip
    return "\n".join([*rows, *_reliability(table)])


def _reliability(table: pd.DataFrame) -> list[str]:
    """What ours promised and what came true, all cells pooled."""
    mine = table[table["method"] == OURS]
    if "bins" not in mine or mine["bins"].isna().all():
        return []
    counts, promised, wrong = np.sum(mine["bins"].dropna().tolist(), axis=0)
    rows = ["", f"Reliability of {OURS}, all cells pooled.", ""]
    rows += _head("p_mislabeled", "labels", "mean", "share really wrong")
    for place in np.flatnonzero(counts):
        edges = f"{place / len(counts):.1f} to {(place + 1) / len(counts):.1f}"
        n = counts[place]
        rows.append(f"| {edges} | {n:,.0f} | {promised[place] / n:.3f} | {wrong[place] / n:.3f} |")
    return rows
