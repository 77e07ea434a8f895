"""From draws to rows: what noise does to each arm, who gains, who is ahead, what was learned by heart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from ssl_robust.study.comparison import contrast, gain, marks, noisiest
from ssl_robust.study.draws import Arm, Draws
from ssl_robust.study.families import family
from ssl_robust.study.measured import ARM, CLEAN, Measured, is_oracle
from ssl_robust.study.ranks import rank
from ssl_robust.study.robustness import drop_per_ten, rate_at, rate_interval


def accuracies(best: Draws, last: Draws) -> list[dict[str, Any]]:
    """A row per arm: BEST and LAST with intervals."""
    return [
        {**arm._asdict(), "n_seeds": len(best.seeds(arm)),
         **{name: draws.accuracy(arm)._asdict() for name, draws in (("best", best), ("last", last))}}
        for arm in best.arms
    ]  # fmt: skip


def curves(draws: Draws) -> dict[tuple[str, str, str, str], list[Arm]]:
    """(set, init, strategy, noise) -> arms by ascending rate, clean labels first, where there are two or more."""
    found = {}
    for name, init, strategy, noise in {arm[:4] for arm in draws.arms if arm.noise != CLEAN}:
        mine = sorted(arm for arm in draws.arms if arm[:4] == (name, init, strategy, noise))
        clean = [arm for arm in draws.arms if arm[:4] == (name, init, strategy, CLEAN)]
        if len(clean + mine) > 1:
            found[name, init, strategy, noise] = clean + mine
    return dict(sorted(found.items()))


def robustness(draws: Draws, share: float) -> list[dict[str, Any]]:
    """A row per curve: accuracy on clean labels, loss at the highest rate and per ten points, rate at a share of clean.

    Seeds that not all points of a curve have are left out.

    Args:
        draws: of the measure.
        share: of the accuracy on clean labels.
    """
    rows = []
    for (name, init, strategy, noise), arms in curves(draws).items():
        seeds = draws.seeds(*arms)
        if not seeds:
            continue
        rates = np.array([arm.rate for arm in arms])
        values = np.stack([draws.mean(arm, seeds) for arm in arms])
        from_clean = arms[0].noise == CLEAN
        row = {"set": name, "init": init, "strategy": strategy, "noise": noise, "highest": rates[-1],
               "n_seeds": len(seeds), "n_rates": len(arms), "from_clean": from_clean,
               "clean": draws.interval(values[0])._asdict(), "lost": draws.interval(values[0] - values[-1])._asdict(),
               "drop_per_ten": draws.interval(drop_per_ten(rates, values))._asdict()}  # fmt: skip
        # Draws of a few seeds reach beyond what an accuracy can be, and there is no share of less than nothing.
        possible = np.clip(values, 1e-9, 1)
        reached = rate_interval(rate_at(rates, possible, share), draws.level) if from_clean else None
        rows.append({**row, "rate_at": reached._asdict() if reached else None})
    return rows


def hurt(draws: Draws, reference: dict[str, str]) -> list[dict[str, Any]]:
    """A row per kind of noise: what its highest rate takes from the reference, mean over sets.

    Args:
        draws: of the measure.
        reference: init and strategy.
    """
    rows = []
    chosen = noisiest(draws.arms)
    for noise in sorted({noise for _, noise, _ in chosen if noise != CLEAN}):
        at = [Arm(name, reference["init"], reference["strategy"], noise, rate)
              for name, kind, rate in sorted(chosen) if kind == noise]  # fmt: skip
        at = [arm for arm in at if draws.seeds(arm, _clean(arm))]
        found = gain(draws, [_clean(arm) for arm in at], {_clean(arm): arm for arm in at}.__getitem__)
        if found:
            rows.append({"noise": noise, "sets": [arm.set for arm in at], "rates": [arm.rate for arm in at],
                         "n_sets": len(at), **found.row()})  # fmt: skip
    return rows


def gains(draws: Draws, axis: str, reference: str) -> list[dict[str, Any]]:
    """Rows of what each init (or strategy) gains over the reference at the highest rates: over all sets, and per set.

    Args:
        draws: of the measure.
        axis: `init` or `strategy`; everything else is the same in both arms of a pair.
        reference: name on that axis.
    """
    chosen = noisiest(draws.arms)
    at = [arm for arm in draws.arms if (arm.set, arm.noise, arm.rate) in chosen and getattr(arm, axis) != reference]

    def partner(arm: Arm) -> Arm:
        return arm._replace(**{axis: reference})

    rows = []
    for name in sorted({getattr(arm, axis) for arm in at}):
        mine = [arm for arm in at if getattr(arm, axis) == name]
        for of_set in (None, *sorted({arm.set for arm in mine})):
            found = gain(draws, [arm for arm in mine if of_set in (None, arm.set)], partner)
            if found:
                rows.append({axis: name, "set": of_set, **found.row()})
    return rows


def protection(draws: Draws, reference: dict[str, str]) -> dict[str, Any]:
    """How much each family of pretraining gains over the reference init at the highest rates, and over one another.

    `less_lost`: how much smaller its loss from clean labels is. An encoder that is better on clean labels gains
    without protecting, so that both are told.

    Args:
        draws: of the measure.
        reference: init and strategy; the strategy is the same everywhere.
    """
    chosen = noisiest(draws.arms)
    pairs: dict[str, dict[Arm, Arm]] = {}
    for arm in draws.arms:
        at = (arm.set, arm.noise, arm.rate) in chosen and arm.strategy == reference["strategy"]
        if at and arm.init != reference["init"]:
            pairs.setdefault(family(arm.init), {})[arm] = arm._replace(init=reference["init"])
    rows = []
    for name, mine in pairs.items():
        at_noise = gain(draws, mine, mine.__getitem__)
        on_clean = {_clean(arm): _clean(other) for arm, other in mine.items() if arm.noise != CLEAN}
        less = contrast(draws, mine, on_clean)
        if at_noise:
            rows.append({"family": name, "inits": sorted({arm.init for arm in mine}), "gain": at_noise.row(),
                         "less_lost": less.row() if less else None})  # fmt: skip
    rows.sort(key=lambda row: -row["gain"]["estimate"])
    between = [(a["family"], b["family"], contrast(draws, pairs[a["family"]], pairs[b["family"]]))
               for a, b in combinations(rows, 2)]  # fmt: skip
    return {
        "families": rows,
        "between": [{"first": a, "second": b, **found.row()} for a, b, found in between if found],
    }


def _clean(arm: Arm) -> Arm:
    return arm._replace(noise=CLEAN, rate=0.0)


def ranking(draws: Draws, axis: str, keep: Callable[[Arm], bool], alpha: float) -> dict[str, Any] | None:
    """Average ranks of the inits or strategies over all blocks in which each of them has a cell; None without any.

    A block is one set, noise, rate and seed and what is not on the axis; those on clean labels count only where a
    study has no others. Oracles take no part.

    Args:
        draws: of the measure.
        axis: `init` or `strategy`.
        keep: which arms take part.
        alpha: of the tests.
    """
    arms = [arm for arm in draws.arms if keep(arm) and not is_oracle(arm.strategy)]
    arms = [arm for arm in arms if arm.noise != CLEAN] or arms
    names = sorted({getattr(arm, axis) for arm in arms})
    blocks: dict[Any, dict[str, float]] = {}
    for arm in arms:
        for seed, value in draws.measured(arm).items():
            blocks.setdefault((arm._replace(**{axis: ""}), seed), {})[getattr(arm, axis)] = value
    whole = {key: block for key, block in blocks.items() if len(block) == len(names)}
    values = [[block[name] for name in names] for block in whole.values()]
    if len(names) < 2 or not values:
        return None
    return {"axis": axis, "alpha": alpha, "n_sets": len({arm.set for arm, _ in whole}),
            **asdict(rank(names, np.array(values), alpha=alpha))}  # fmt: skip


def table(
    draws: Draws, arms: Iterable[Arm], name: Callable[[Arm], tuple[str, ...]], worst: Mapping[Arm, Any]
) -> dict[str, Any]:
    """Arms of one set and noise -> rows by name and columns by rate, the best of each column marked.

    Args:
        draws: of the measure.
        arms: each name and rate once, in the order of the rows.
        name: of the row of an arm.
        worst: of `worst_classes`, told at the highest rate.
    """
    arms = list(arms)
    rates = sorted({arm.rate for arm in arms})
    marked: dict[Arm, str] = {}
    for rate in rates:
        marked |= marks(draws, [arm for arm in arms if arm.rate == rate])
    rows: dict[tuple[str, ...], dict[float, Any]] = {}
    worst_of = {name(arm): worst[arm] for arm in arms if arm.rate == rates[-1]}
    for arm in arms:
        cell = {**draws.accuracy(arm)._asdict(), "mark": marked[arm], "n_seeds": len(draws.seeds(arm))}
        rows.setdefault(name(arm), {})[arm.rate] = cell
    return {"rates": rates, "rows": [{"name": key, "cells": [row.get(rate) for rate in rates],
                                      "worst": worst_of.get(key)} for key, row in rows.items()]}  # fmt: skip


def worst_classes(measured: Measured) -> dict[Arm, dict[str, dict[str, float]]]:
    """Recall of the worst class of each arm, BEST and LAST: mean over seeds, lowest and highest seed; no interval."""
    found = {}
    for key, cells in measured.cells.groupby(ARM, sort=False):
        of_arm = {which: cells[f"{which}_worst_class_recall"].to_numpy(dtype=float) for which in ("best", "last")}
        found[Arm(*key)] = {  # type: ignore[misc]
            which: {"mean": float(each.mean()), "lowest": float(each.min()), "highest": float(each.max())}
            for which, each in of_arm.items()
        }
    return found


def memorisation(measured: Measured, keep: Callable[[Arm], bool], level: float) -> list[dict[str, Any]]:
    """By arm the share of wrong labels that is answered as given, epoch by epoch: mean over seeds, Student's interval.

    Args:
        measured: the study.
        keep: which arms.
        level: coverage.
    """
    rows = []
    for key, cells in measured.cells.groupby(ARM, sort=False):
        arm = Arm(*key)  # type: ignore[misc]
        found = [measured.curve(cell).get("memorised", np.empty(0)) for cell in cells["cell"]] if keep(arm) else []
        found = [each for each in found if np.isfinite(each).any()]
        if not found:
            continue
        n_epochs = min(map(len, found))
        values = np.stack([each[:n_epochs] for each in found])
        mean, n = values.mean(axis=0), len(values)
        half = stats.t.ppf((1 + level) / 2, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.nan * mean
        low, high = np.maximum(mean - half, 0), np.minimum(mean + half, 1)
        rows.append({**arm._asdict(), "n_seeds": n, "mean": mean, "low": low, "high": high})
    return rows
