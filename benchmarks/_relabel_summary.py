"""Lines of relabel_policies.py -> the tables of docs/relabel.md."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_robust.relabel.effort import answers_to_reach

DEFAULT, RANDOM, ORACLE = "audit", "random", "oracle"
_CELL = ["policy", "set", "noise"]
_GOAL = 0.95
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
        reach = _reach(cells)
        parts = [
            "Average precision of the audit before the first answer, mean of seeds", _precision(cells),
            "Answers to halve the noise, % of the set: mean of seeds (their standard deviation)", _answers(cells),
            "The same as a share of what random needs", _of_random(cells),
            "Answers to reach 95 % of the balanced accuracy on clean labels, % of the set", _percent(reach),
            "The same as a share of what random needs", _shares(reach),
            "After answers on 10 % of the set", _after(cells, 0.1),
            "Bounds that held, over all budgets, policies and seeds", _held(cells),
        ]  # fmt: skip
    if len(stopped):
        parts += ["Campaigns that stopped by their bound", _stopped(stopped)]
    return "\n\n".join(parts)


def _precision(cells: pd.DataFrame) -> str:
    mean = cells[cells["policy"] == DEFAULT].groupby(_CELL)["ap"].mean()
    return _table(mean.map("{:.2f}".format), mean)


def _answers(cells: pd.DataFrame) -> str:
    grouped = cells.assign(value=100 * cells["to_halve"].fillna(np.inf)).groupby(_CELL)["value"]
    mean, spread, n = grouped.mean(), grouped.std(), grouped.size()
    texts = {
        key: "not by 50" if np.isinf(value) else f"{value:.1f} ({spread[key]:.1f})" if n[key] > 1 else f"{value:.1f}"
        for key, value in mean.items()
    }
    return _table(pd.Series(texts), mean)


def _of_random(cells: pd.DataFrame) -> str:
    """Ratios seed by seed, so that easy draws of errors are easy for both."""
    keys = ["set", "noise", "seed"]
    random = cells[cells["policy"] == RANDOM].set_index(keys)["to_halve"].fillna(_NEVER)
    others = cells[cells["policy"] != RANDOM].set_index(keys)
    found = others.assign(ratio=others["to_halve"].fillna(_NEVER) / random.reindex(others.index).to_numpy())
    mean = found.reset_index().groupby(_CELL)["ratio"].mean()
    return _table(mean.map("{:.2f}".format), mean)


def _reach(cells: pd.DataFrame) -> pd.Series:
    """Where the mean curve of the seeds passes the goal: single curves, on few test scans, cross it by luck."""
    grid = np.linspace(0, 1, 201)
    found = {}
    for key, group in cells.groupby(_CELL):
        curves = [np.interp(grid, curve["share"], curve["balanced_accuracy"]) for curve in group["curve"]]
        goal = _GOAL * float(np.mean([clean[0] for clean in group["clean"]]))
        found[key] = answers_to_reach(grid, np.mean(curves, axis=0), goal)
    return pd.Series(found)


def _percent(reach: pd.Series) -> str:
    filled = reach.fillna(np.inf)
    return _table(filled.map(lambda value: "not by 50" if np.isinf(value) else f"{100 * value:.0f}"), filled)


def _shares(reach: pd.Series) -> str:
    """Of what random needs, where that is more than nothing."""
    random = reach.xs(RANDOM).fillna(_NEVER)
    ratios = {key: value / random[key[1:]] for key, value in reach.fillna(_NEVER).items() if random[key[1:]] > 0}
    if not ratios:
        return "noisy labels reach it without an answer on every set"
    values = pd.Series(ratios)
    return _table(values.map("{:.2f}".format), values)


def _after(cells: pd.DataFrame, share: float) -> str:
    """Noise, balanced accuracy and worst-class recall at one budget."""

    def at(curve: dict[str, list[float]], name: str) -> float:
        return float(np.interp(share, curve["share"], curve[name]))

    names = {"noise": "left", "balanced_accuracy": "balanced", "worst_class_recall": "worst class"}
    found = cells.assign(**{short: [at(curve, name) for curve in cells["curve"]] for name, short in names.items()})
    mean = found.groupby(_CELL)[list(names.values())].mean()
    texts = mean.apply(
        lambda row: f"{100 * row['left']:.1f} / {row['balanced']:.3f} / {row['worst class']:.2f}", axis=1
    )
    return "noise left in % / balanced accuracy / recall of the worst class\n\n" + _table(texts, mean["left"])


def _held(cells: pd.DataFrame) -> str:
    own = cells[~cells["policy"].isin([RANDOM, ORACLE])]
    held = [np.array(c["wrong_left"]) <= np.array(c["most_left"]) for c in own["curve"]]
    flat = np.concatenate(held)
    whole = np.mean([each.all() for each in held])
    return f"{flat.sum():,} of {len(flat):,} ({flat.mean():.1%}); in {whole:.1%} of the campaigns all"


def _stopped(lines: pd.DataFrame) -> str:
    rows = [
        "| set | noise | goal | campaigns | bound held | median answers, % | median bound, % | median truth, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, noise, goal), group in lines.groupby(["set", "noise", "goal"]):
        left = group["n_left"].clip(lower=1)
        rows.append(
            f"| {name} | {noise} | {goal:.0%} | {len(group)} | {group['holds'].mean():.1%} "
            f"| {_middle(group['answers'] / group['n'])} | {_middle(group['most_left'] / left)} "
            f"| {_middle(group['wrong_left'] / left)} |"
        )
    return "\n".join(rows)


def _middle(shares: pd.Series) -> str:
    return f"{100 * shares.median():.1f}"


def _table(texts: pd.Series, values: pd.Series) -> str:
    """A row a policy, best first by the mean rank; a column a set and noise."""
    wide = texts.rename_axis(_CELL).unstack([1, 2]).sort_index(axis=1)
    ranks = values.rename_axis(_CELL).unstack([1, 2]).rank().mean(axis=1)
    wide = wide.loc[ranks.sort_values(kind="stable").index].fillna("")
    head = ["policy", *(f"{name}, {noise.replace('_', '-')}" for name, noise in wide.columns)]
    rows = [[str(policy), *map(str, row)] for policy, row in zip(wide.index, wide.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
