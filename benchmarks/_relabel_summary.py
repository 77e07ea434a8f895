"""Lines of relabel_policies.py -> the tables of docs/relabel.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

DEFAULT, RANDOM, ORACLE = "audit", "random", "oracle"
_NEVER = 1.0  # a policy that has not got there by half of the set is charged all of it


def summary(path: Path) -> str:
    """Markdown of all tables.

    Args:
        path: the file of the benchmark.
    """
    lines = pd.DataFrame([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    stopped, cells = lines[lines["policy"] == "stop"], lines[lines["policy"] != "stop"]
    parts = []
    if len(cells):
        for column, title in (("to_halve", "Answers to halve the noise"),
                              ("to_reach", "Answers to reach 95 % of the balanced accuracy on clean labels")):  # fmt: skip
            parts += [f"{title}, in % of the set: mean of seeds (their standard deviation)", _answers(cells, column)]
            parts += [f"{title}: share of random's", _of_random(cells, column)]
        parts += ["After answers on 10 % of the set", _after(cells, 0.1)]
        parts += ["Bounds that held, over all budgets, policies and seeds", _held(cells)]
    if len(stopped):
        parts += ["Campaigns that stopped by their bound", _stopped(stopped)]
    return "\n\n".join(parts)


def _answers(cells: pd.DataFrame, column: str) -> str:
    filled = cells.assign(value=100 * cells[column].fillna(np.inf))
    grouped = filled.groupby(["policy", "set", "noise"])["value"]
    mean, spread, n = grouped.mean(), grouped.std(), grouped.size()
    texts = {
        key: "not by 50" if np.isinf(value) else f"{value:.1f} ({spread[key]:.1f})" if n[key] > 1 else f"{value:.1f}"
        for key, value in mean.items()
    }
    return _table(pd.Series(texts), mean)


def _of_random(cells: pd.DataFrame, column: str) -> str:
    """Ratios seed by seed, so that easy draws of errors are easy for both."""
    keys = ["set", "noise", "seed"]
    random = cells[cells["policy"] == RANDOM].set_index(keys)[column].fillna(_NEVER)
    others = cells[cells["policy"] != RANDOM].set_index(keys)
    found = others.assign(ratio=others[column].fillna(_NEVER) / random.reindex(others.index).to_numpy())
    found = found[random.reindex(found.index).to_numpy() > 0].reset_index()
    mean = found.groupby(["policy", "set", "noise"])["ratio"].mean()
    return _table(mean.map("{:.2f}".format), mean)


def _after(cells: pd.DataFrame, share: float) -> str:
    """Noise, balanced accuracy and worst-class recall at one budget."""

    def at(curve: dict[str, list[float]], name: str) -> float:
        return float(np.interp(share, curve["share"], curve[name]))

    names = {"noise": "noise", "balanced_accuracy": "balanced", "worst_class_recall": "worst class"}
    found = cells.assign(**{short: [at(curve, name) for curve in cells["curve"]] for name, short in names.items()})
    mean = found.groupby(["policy", "set", "noise"])[list(names.values())].mean()
    texts = mean.apply(
        lambda row: f"{100 * row['noise']:.1f} / {row['balanced']:.3f} / {row['worst class']:.2f}", axis=1
    )
    return "noise left in % / balanced accuracy / recall of the worst class\n\n" + _table(texts, mean["noise"])


def _held(cells: pd.DataFrame) -> str:
    own = cells[~cells["policy"].isin([RANDOM, ORACLE])]
    held = [np.array(c["wrong_left"]) <= np.array(c["most_left"]) for c in own["curve"]]
    flat = np.concatenate(held)
    return f"{flat.sum():,} of {len(flat):,} ({flat.mean():.1%}); in {np.mean([each.all() for each in held]):.1%} of the campaigns all"


def _stopped(lines: pd.DataFrame) -> str:
    rows = [
        "| set | noise | goal | campaigns | bound held | median answers, % | median bound, % | median truth, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, noise, goal), group in lines.groupby(["set", "noise", "goal"]):
        left = group["n_left"].clip(lower=1)
        rows.append(
            f"| {name} | {noise} | {goal:.0%} | {len(group)} | {group['holds'].mean():.1%} "
            f"| {100 * (group['answers'] / group['n']).median():.0f} | {100 * (group['most_left'] / left).median():.1f} "
            f"| {100 * (group['wrong_left'] / left).median():.1f} |"
        )
    return "\n".join(rows)


def _table(texts: pd.Series, values: pd.Series) -> str:
    """A row a policy, best first by the mean rank; a column a set and noise."""
    wide = texts.rename_axis(["policy", "set", "noise"]).unstack([1, 2]).sort_index(axis=1)
    ranks = values.rename_axis(["policy", "set", "noise"]).unstack([1, 2]).rank().mean(axis=1)
    wide = wide.loc[ranks.sort_values(kind="stable").index].fillna("")
    head = ["policy", *(f"{name}, {noise.replace('_', '-')}" for name, noise in wide.columns)]
    rows = [[str(policy), *map(str, row)] for policy, row in zip(wide.index, wide.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
