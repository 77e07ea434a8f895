"""Everything that a study says, from its artefacts: what its page is drawn from, and `summary.json`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ssl_robust.files import write_json
from ssl_robust.metrics import Interval
from ssl_robust.study.answers import answers
from ssl_robust.study.comparison import noisiest
from ssl_robust.study.draws import Arm, Draws, draw_cells
from ssl_robust.study.findings import (
    accuracies,
    gains,
    hurt,
    memorisation,
    protection,
    ranking,
    robustness,
    table,
    worst_classes,
)
from ssl_robust.study.measured import CLEAN, Measured, is_oracle, read_study

SUMMARY = "summary.json"
DIFFICULTIES = {
    "fisher": "Separability of the classes (Fisher)",
    "knn_balanced_accuracy": "Accuracy of the nearest neighbours",
}


def summarise(directory: Path, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """Judge a study, finished or not, and write `summary.json` into its directory.

    Args:
        directory: of the study.
        settings: node `statistics` of the configuration; None: the packaged values.

    Returns:
        What was written; intervals are mappings of `estimate`, `low` and `high`, NaN = there is none.

    Raises:
        FileNotFoundError: a file of a finished cell or set is missing.
        UserError: no cell is finished, or a file is damaged.
    """
    measured = read_study(directory, settings)
    best, last = draw_cells(measured)
    reference = {axis: _reference(measured, axis) for axis in ("init", "strategy")}
    share, alpha = measured.settings["share_of_clean"], 1 - measured.settings["level"]
    found: dict[str, Any] = {
        **_facts(measured, best),
        "reference": reference,
        "share_of_clean": share,
        "accuracies": accuracies(best, last),
        "robustness": (fallen := robustness(best, share)),
        "hurt": hurt(best, reference),
        "robustness_last": robustness(last, share),
        **(gained := {f"{axis}_gains": gains(best, axis, name) for axis, name in reference.items()}),
        "order": (order := {axis: _order(best, axis, reference, gained[f"{axis}_gains"]) for axis in reference}),
        "protection": protection(best, reference),
        "rankings": [each for each in _rankings(best, reference, alpha) if each],
        "tables": _tables(worst_classes(measured), best, last, reference, order),
        "memorisation": _memorisation(measured, best, reference),
        "costs": _costs(measured),
        "sets": _sets(measured, best, reference),
        "difficulty": _difficulty(measured, fallen, reference["strategy"]),
        "prediction": _prediction(measured, best, reference["strategy"]),
    }
    found["answers"] = answers(found)
    write_json(directory / SUMMARY, found)
    return found


def _facts(measured: Measured, best: Draws) -> dict[str, Any]:
    n_done, n_planned, seeds = len(measured.cells), measured.n_planned, sorted(measured.cells["seed"].unique())
    return {
        "title": measured.facts.get("title") or "",
        "mode": measured.facts.get("mode") or "",
        "n_done": n_done,
        "n_planned": max(n_planned, n_done),
        "n_missing": max(0, n_planned - n_done),
        "n_failed": len(measured.facts.get("failed", [])),
        "n_seeds": len(seeds),
        "fewest_seeds": min(len(best.seeds(arm)) for arm in best.arms),
        "n_patients": {name: len(np.unique(rows.groups)) for name, rows in measured.tests.items()},
        "interval": {name: measured.settings[name] for name in ("level", "n_resamples")},
        "minutes": float(measured.cells["seconds"].to_numpy(dtype=float).sum() / 60),
    }


def _reference(measured: Measured, axis: str) -> str:
    """What gains are measured against: as set, or the first that the study names and that has a cell."""
    wanted, there = measured.settings["reference"][axis], set(measured.cells[axis])
    named = [each for each in measured.facts[f"{axis}s" if axis == "init" else "strategies"] if each in there]
    return wanted if wanted in there else (named or sorted(there))[0]


def _rankings(best: Draws, reference: dict[str, str], alpha: float) -> list[dict[str, Any] | None]:
    return [
        ranking(best, "init", lambda arm: arm.strategy == reference["strategy"], alpha),
        ranking(best, "strategy", lambda _: True, alpha),
    ]


def _order(best: Draws, axis: str, reference: dict[str, str], rows: list[dict[str, Any]]) -> list[str]:
    """The inits or strategies as every table and plot lists them: the reference, then by gain, oracles last."""
    gained = {row[axis]: row["estimate"] for row in rows if row["set"] is None}
    names = {getattr(arm, axis) for arm in best.arms}
    return sorted(names, key=lambda name: (name != reference[axis], is_oracle(name), -gained.get(name, -1.0), name))


def _tables(
    worst: dict[Arm, Any], best: Draws, last: Draws, reference: dict[str, str], order: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """By set and noise: the inits with one strategy, the strategies from one init, both also of LAST, and all."""
    found = []
    places = [{name: place for place, name in enumerate(order[axis])} for axis in ("init", "strategy")]
    for name, noise in sorted({(arm.set, arm.noise) for arm in best.arms}):
        kinds = {arm.noise for arm in best.arms if arm.set == name}
        if noise == CLEAN and kinds != {CLEAN}:
            continue
        arms = [arm for arm in best.arms if arm.set == name and arm.noise in (noise, CLEAN)]
        arms.sort(key=lambda arm: (places[0][arm.init], places[1][arm.strategy], arm.rate))
        by_init = [arm for arm in arms if arm.strategy == reference["strategy"]]
        by_strategy = [arm for arm in arms if arm.init == reference["init"]]
        found.append({
            "set": name, "noise": noise,
            "init": table(best, by_init, lambda arm: (arm.init,), worst),
            "strategy": table(best, by_strategy, lambda arm: (arm.strategy,), worst),
            "last_init": table(last, by_init, lambda arm: (arm.init,), worst),
            "last_strategy": table(last, by_strategy, lambda arm: (arm.strategy,), worst),
            "all": table(best, arms, lambda arm: (arm.init, arm.strategy), worst),
        })  # fmt: skip
    return found


def _memorisation(measured: Measured, best: Draws, reference: dict[str, str]) -> list[dict[str, Any]]:
    chosen = noisiest(best.arms)

    def keep(arm: Arm) -> bool:
        at = (arm.set, arm.noise, arm.rate) in chosen
        return at and (arm.init == reference["init"] or arm.strategy == reference["strategy"])

    return memorisation(measured, keep, measured.settings["level"])


def _costs(measured: Measured) -> dict[str, dict[str, float]]:
    """Mean minutes of a cell by strategy, and of the pretraining by init."""
    cells = measured.cells
    columns = {"strategy": "seconds", "init": "pretrain_seconds"}
    return {
        axis: {str(name): float(mine[column].to_numpy(dtype=float).mean()) / 60 for name, mine in cells.groupby(axis)}
        for axis, column in columns.items()
    }


def _sets(measured: Measured, best: Draws, reference: dict[str, str]) -> list[dict[str, Any]]:
    """By set: accuracy of the reference on clean labels, above chance, and the share left at the highest rates."""
    rows = []
    for name in measured.tests:
        clean = Arm(name, reference["init"], reference["strategy"], CLEAN, 0.0)
        if not best.seeds(clean):
            continue
        k = int(measured.cells["n_classes"].to_numpy()[measured.cells["set"] == name][0])
        chance = 1 / k
        on_clean = best.mean(clean)
        kept = _kept(best, clean)
        rows.append({"set": name, "n_classes": k, "n_seeds": len(best.seeds(clean)),
                     "clean": best.accuracy(clean)._asdict(),
                     "above_chance": best.interval((on_clean - chance) / (1 - chance))._asdict(),
                     "kept": best.interval(kept)._asdict() if kept is not None else None})  # fmt: skip
    return rows


def _kept(best: Draws, clean: Arm) -> np.ndarray | None:
    """Share of an arm's accuracy on clean labels that is left at the highest rates, mean over kinds of noise."""
    at = [clean._replace(noise=noise, rate=rate) for name, noise, rate in noisiest(best.arms)
          if name == clean.set and noise != CLEAN]  # fmt: skip
    shares = [best.share(arm, clean) for arm in sorted(at) if best.seeds(arm, clean)]
    return np.mean(shares, axis=0) if shares else None


def _difficulty(measured: Measured, fallen: list[dict[str, Any]], strategy: str) -> list[dict[str, Any]]:
    """A row per set and init with the difficulty of its embedding and what each kind of noise takes per ten points."""
    rows = measured.difficulty.to_dict("records")
    return [
        {**{str(key): value for key, value in row.items()}, **{key: each[key] for key in ("noise", "drop_per_ten")}}
        for row in rows
        for each in fallen
        if (each["set"], each["init"], each["strategy"]) == (row["set"], row["init"], strategy)
    ]  # fmt: skip


def _prediction(measured: Measured, best: Draws, strategy: str) -> list[dict[str, Any]]:
    """Spearman's correlation over sets of difficulty and share kept, mean over inits; nothing below three sets."""
    rows = []
    for name, title in DIFFICULTIES.items():
        by_init = measured.difficulty.groupby("init") if name in measured.difficulty else []
        sides = [side for _, mine in by_init if (side := _sides(mine, name, best, strategy))]
        if not sides:
            continue
        rho = best.interval(np.mean([_spearman(values, kept) for values, kept, _ in sides], axis=0))
        # Draws disturb an order more often than they mend it: one that is perfect may lie outside of them.
        rho = Interval(rho.estimate, min(rho.low, rho.estimate), max(rho.high, rho.estimate))
        n_sets = min(len(values) for values, _, _ in sides)
        rows.append({"measure": name, "title": title, "rho": rho._asdict(), "n_sets": n_sets, "n_inits": len(sides),
                     "n_seeds": min(n for _, _, n in sides), "smallest_p": 2 / math.factorial(n_sets)})  # fmt: skip
    return rows


def _sides(mine: pd.DataFrame, name: str, best: Draws, strategy: str) -> tuple[np.ndarray, np.ndarray, int] | None:
    """(S,) difficulty and (S, D) share kept of the sets of one init, and the fewest seeds; None below three sets."""
    found = []
    for row in mine.to_dict("records"):
        arm = Arm(row["set"], row["init"], strategy, CLEAN, 0.0)
        kept = _kept(best, arm) if best.seeds(arm) and math.isfinite(row[name]) else None
        if kept is not None:
            found.append((row[name], kept, len(best.seeds(arm))))
    if len(found) < 3:
        return None
    values, kept, seeds = zip(*found, strict=True)
    return np.array(values), np.stack(kept), min(seeds)


def _spearman(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(S,) numbers and (S, D) others -> (D,) their rank correlation; 0 where all of one side are equal."""
    first, second = stats.rankdata(values), stats.rankdata(draws, axis=0)
    first, second = first - first.mean(), second - second.mean(axis=0)
    norm = np.sqrt((first @ first) * (second**2).sum(axis=0))
    return np.where(norm > 0, first @ second / np.maximum(norm, 1e-12), 0.0)
