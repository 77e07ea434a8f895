"""`ssl-robust relabel simulate`: policies compared on a set whose labels are taken as true."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.audit.material import Material, chosen_checkpoint, read_material
from ssl_robust.data.written import write_table
from ssl_robust.noise.corruption import noise_labels
from ssl_robust.overrides import check
from ssl_robust.quoting import quote_paths
from ssl_robust.relabel.effort import answers_to_halve, answers_to_reach
from ssl_robust.relabel.simulate import (
    ORACLE,
    RANDOM,
    Trial,
    first_pool,
    run_policy,
)
from ssl_robust.relabel.stage import check_shares
from ssl_robust.run import Run, UserError, progress, write_json
from ssl_robust.settings import choices, defaults

STAGE = "simulate"
_LAST = 1.0  # random is followed until all is read, since every ratio is to what it needs
_KEYS = ("to_halve", "to_reach")


def command(words: Sequence[str]) -> Path:
    """Compare policies.

    Args:
        words: options of configs/simulate.yaml, as they were typed.

    Returns:
        The run directory, whose report is to be drawn.

    Raises:
        UserError: an option does not fit, or the data cannot be read.
    """
    from omegaconf import OmegaConf

    config, _ = check(STAGE, quote_paths(list(words), sweep=False))
    config.checkpoint = chosen_checkpoint(config)
    settings: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_settings(settings)
    with Run(config.out, stage=STAGE, config=settings, resume=config.resume, overwrite=config.overwrite) as run:
        material = read_material(config)
        run.note(data_fingerprint=material.manifest.fingerprint, n_scans=len(material.manifest))
        curves, ends, facts = compare(material, settings)
        summary = summarized(ends, measured=facts["n_test"] > 0)
        write_table(run / "curves.csv", curves)
        write_table(run / "policies.csv", summary)
        write_json(run / "simulate.json", facts)
    print(summary.to_string(index=False, float_format="{:.3f}".format), flush=True)
    return run.path


def compare(material: Material, settings: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """All policies with all seeds.

    Args:
        material: scans whose labels are taken as true; those of the test split only measure.
        settings: of the stage.

    Returns:
        A row for each budget, as in `run_policy`; a row for each policy and seed, with `to_halve` and `to_reach` as
        shares of the scans; facts for simulate.json.

    Raises:
        UserError: nothing is left to relabel, or no label is wrong.
    """
    seeds = [settings["seed"] + number for number in range(settings["seeds"])]
    curves, ends, facts = [], [], {}
    cells = [(seed, policy) for seed in seeds for policy in settings["policies"]]
    trial = first = None
    for seed, policy in progress(cells, total=len(cells), what="campaigns"):
        if trial is None or policy == settings["policies"][0]:
            trial = make_trial(material, settings, seed)
            facts = _facts(trial, settings, facts)
            first = first_pool(trial, settings, wanted=_answers(settings["budgets"], trial)[0], seed=seed)
        budgets = [*settings["budgets"], *([_LAST] if policy == RANDOM else [])]
        sampler = {} if policy == ORACLE else defaults("sampler", policy)
        rows, curve = run_policy(
            trial, policy, sampler, settings, budgets=_answers(budgets, trial), seed=seed, first=first
        )
        table = pd.DataFrame(rows)
        goal = settings["goal"] * trial.quality(trial.truth)[0]
        reached = answers_to_reach(table["answers"].to_numpy(), table["balanced_accuracy"].to_numpy(), goal)
        ends.append({"policy": policy, "seed": seed, "to_halve": answers_to_halve(curve) / len(trial),
                     "to_reach": reached / len(trial)})  # fmt: skip
        curves.append(table)
    return pd.concat(curves, ignore_index=True), pd.DataFrame(ends), facts


def make_trial(material: Material, settings: Mapping[str, Any], seed: int) -> Trial:
    """The scans of train and val with wrong labels; those of test measure.

    Args:
        material: of the set.
        settings: of the stage.
        seed: of the errors.

    Raises:
        UserError: as in `compare`.
    """
    manifest = material.manifest
    truth, is_test = manifest.codes(), manifest.table["split"].to_numpy(dtype=object) == "test"
    seen = material.vectors if material.pixels is None else material.pixels
    given = noise_labels(manifest, settings["noise"], seed, seen).labels
    pool, others = np.flatnonzero(~is_test & (truth >= 0)), np.flatnonzero(is_test & (truth >= 0))
    if not len(pool):
        raise UserError("no scan of train or val has a label, so there is nothing to relabel; give data.columns.split=")
    if (given[pool] == truth[pool]).all():
        raise UserError("no label is wrong, so policies do not differ; set noise=symmetric noise.rate=0.2 or another")
    if not len(others) and seed == settings["seed"]:
        print("Note: no scan is of the test split, so that no classifier is measured", file=sys.stderr)
    copies = np.full(len(truth), -1)
    try:
        return Trial.of(
            material.vectors, truth, given, manifest.groups(), copies, pool=pool, others=others,
            n_classes=len(manifest.classes), settings=settings, seed=seed,
        )  # fmt: skip
    except ValueError as error:
        raise UserError(f"the policies cannot be compared: {error}") from None


def summarized(ends: pd.DataFrame, *, measured: bool) -> pd.DataFrame:
    """A row for each policy: means over seeds of `to_halve` and `to_reach`, and both as shares of what random needs.

    A policy that never gets there is charged all scans.

    Args:
        ends: of `compare`.
        measured: whether there were scans to measure a classifier on; without them `to_reach` is NaN.
    """
    rows, charged = [], {"to_halve": _LAST, "to_reach": _LAST if measured else np.nan}
    for policy in dict.fromkeys(ends["policy"]):
        own = ends.loc[ends["policy"] == policy]
        rows.append({"policy": policy, **{key: float(own[key].fillna(charged[key]).mean()) for key in _KEYS}})
    random = next((row for row in rows if row["policy"] == RANDOM), dict.fromkeys(_KEYS, 0.0))
    for row in rows:
        row |= {f"{key}_of_random": row[key] / random[key] if random[key] else np.nan for key in _KEYS}
    return pd.DataFrame(rows)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what no comparison can have.

    Raises:
        UserError: the first such option.
    """
    check_shares(settings)
    known = [ORACLE, *choices("sampler")]
    for policy in settings["policies"]:
        if policy not in known:
            raise UserError(f"policies has {policy}, which does not exist; choose of {', '.join(known)}")
    budgets = settings["budgets"]
    if not settings["policies"] or not budgets:
        raise UserError("policies and budgets must not be empty; e.g. policies=[random,audit] budgets=[0.1,0.2]")
    if sorted(set(budgets)) != budgets or not 0 < budgets[0] <= budgets[-1] <= 1:
        raise UserError(f"budgets={budgets} does not fit; give rising shares of the scans, e.g. [0.05,0.1,0.2]")
    if settings["seeds"] < 1:
        raise UserError(f"seeds={settings['seeds']} is not positive; give a whole number from 1")
    if settings["per_patient"]:
        raise UserError("per_patient=true is not simulated: budgets count answers; leave it out")


def _answers(shares: Sequence[float], trial: Trial) -> list[int]:
    return [max(1, round(share * len(trial))) for share in shares]


def _facts(trial: Trial, settings: Mapping[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """What stands in simulate.json beside the tables, means over the seeds so far."""
    clean, noisy = trial.quality(trial.truth)[0], trial.quality(trial.given)[0]
    rate = float((trial.truth != trial.given).mean())
    seen = [*before.get("by_seed", []), {"clean": clean, "noisy": noisy, "rate": rate}]
    means = {name: float(np.mean([each[name] for each in seen])) for name in ("clean", "noisy", "rate")}
    return {"n": len(trial), "n_test": len(trial.others_truth), "goal": settings["goal"], "level": settings["level"],
            "seeds": len(seen), "by_seed": seen, **means}  # fmt: skip
