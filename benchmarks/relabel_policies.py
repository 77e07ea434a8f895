"""How many answers does a policy need to halve the noise, and to train a classifier as good as on clean labels?

    python benchmarks/relabel_policies.py emb-busi-default emb-ham10000-default … --out policies.jsonl
    python benchmarks/relabel_policies.py emb-busi-default … --policies audit random --seeds 100 101 --out dev.jsonl
    python benchmarks/relabel_policies.py emb-busi-default --stop 0.1 --seeds $(seq 0 199) --out stop.jsonl
    python benchmarks/relabel_policies.py --out policies.jsonl --summary

Each argument is a directory of `ssl-robust embed`, named emb-SET-ENCODER, whose encoder never saw a label. Labels of
train and val are made wrong (20 %) and relabelled; test stays clean and measures a logistic regression. Every answer of
the simulated expert is charged, control scans, repeats and answers on right labels included; `random` and `oracle` are
bounds and have no control scans. With two classes the class-dependent noise is one-sided: labels of the larger class
are wrong three times as often. `--most` limits the pool to so many scans, patients whole, drawn by the seed. `--stop X`
runs campaigns of the default policy until at most X of the remaining labels are wrong by the bound, and tells whether
that was so. A finished cell is not computed again.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _relabel_summary import summary
from sklearn.metrics import average_precision_score

from ssl_robust.noise.corruption import Corruption, corrupt
from ssl_robust.relabel.effort import answers_to_halve, answers_to_reach
from ssl_robust.relabel.sampler import Pool
from ssl_robust.relabel.simulate import (
    ORACLE,
    RANDOM,
    Trial,
    first_pool,
    run_policy,
    until,
)  # fmt: skip
from ssl_robust.settings import choices, defaults

SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
BEYOND = (0.65, 0.8, 1.0)  # random needs more than half
FEWEST = 0.1  # share after which a campaign ends that has halved the noise and reached the goal
GOAL = 0.95
STOP = "stop"
NOISES = ("symmetric", "class_dependent", "patients")


def settings() -> dict[str, Any]:
    """The packaged values of a campaign, with a perfect expert."""
    shared = {**defaults("", "_opinion"), **defaults("", "_relabel")}
    return {**shared, "expert": defaults("expert", "perfect"), "level": 0.9}


def make_wrong(codes: np.ndarray, samples: pd.DataFrame, noise: str, n_classes: int, seed: int) -> Corruption:
    """20 % wrong labels."""
    about = {"ids": samples["sample_id"].to_numpy(), "groups": samples["patient_id"].to_numpy(dtype=object)}
    if noise == "patients":
        return corrupt(codes, kind="symmetric", rate=0.2, by="patient", seed=seed, n_classes=n_classes, **about)
    if noise == "class_dependent" and n_classes == 2:
        larger = int(np.bincount(codes).argmax())
        share = np.bincount(codes).max() / len(codes)
        most = 0.2 / (share + (1 - share) / 3)  # 20 % of all
        rates = [most if code == larger else most / 3 for code in (0, 1)]
        matrix = [[1 - rates[0], rates[0]], [rates[1], 1 - rates[1]]]
        return corrupt(codes, kind=noise, matrix=matrix, seed=seed, n_classes=2, **about)
    return corrupt(codes, kind=noise, rate=0.2, seed=seed, n_classes=n_classes, **about)


def make_trial(folder: Path, noise: str, seed: int, most: int | None) -> Trial:
    """A set with wrong labels."""
    vectors = np.load(folder / "embeddings.npy")
    samples = pd.read_csv(folder / "samples.csv", dtype="string")
    codes, classes = pd.factorize(samples["label"], sort=True)
    groups = pd.factorize(samples["patient_id"].fillna("own " + samples["sample_id"]))[0]
    is_test = (samples["split"] == "test").to_numpy(dtype=bool)
    pool = np.flatnonzero(~is_test)
    if most is not None and len(pool) > most:
        drawn = np.random.default_rng(seed).permutation(np.unique(groups[pool]))
        place = np.argsort(drawn)[np.searchsorted(np.unique(groups[pool]), groups[pool])]
        pool = np.sort(pool[np.argsort(place, kind="stable")][:most])
    given = codes.copy()
    made = make_wrong(codes[pool], samples.iloc[pool], noise, len(classes), seed)
    given[pool] = made.labels
    return Trial.of(
        vectors, codes, given, groups, np.full(len(codes), -1), pool=pool, others=np.flatnonzero(is_test),
        n_classes=len(classes), settings=settings(), seed=seed,
    )  # fmt: skip


def run_cell(name: str, trial: Trial, first: Pool, noise: str, seed: int, policy: str) -> dict[str, Any]:
    """One line of the output."""
    started = time.process_time()
    shares = (*SHARES, *BEYOND) if policy == RANDOM else SHARES
    sampler = {} if policy == ORACLE else defaults("sampler", policy)
    clean = trial.quality(trial.truth)

    def enough(rows: list[dict[str, Any]]) -> bool:
        last = rows[-1]
        lately = min(row["balanced_accuracy"] for row in rows[-2:])
        return last["share"] >= FEWEST and last["noise"] <= rows[0]["noise"] / 2 and lately >= GOAL * clean[0]

    rows, curve = run_policy(
        trial, policy, sampler, settings(), budgets=[round(share * len(trial)) for share in shares], seed=seed,
        first=first, enough=enough,
    )  # fmt: skip
    table = pd.DataFrame(rows)
    reached = answers_to_reach(table["answers"].to_numpy(), table["balanced_accuracy"].to_numpy(), GOAL * clean[0])
    return {
        "set": name, "noise": noise, "seed": seed, "policy": policy,
        "n": len(trial), "rate": float((trial.given != trial.truth).mean()), "clean": clean,
        "ap": float(average_precision_score(trial.given != trial.truth, first.wrong)),
        "to_halve": answers_to_halve(curve) / len(trial), "to_reach": reached / len(trial),
        "curve": table.drop(columns=["policy", "seed"]).round(5).to_dict("list"),
        "seconds": round(time.process_time() - started, 1),
    }  # fmt: skip


def run_stopped(name: str, trial: Trial, noise: str, seed: int, goal: float) -> dict[str, Any]:
    """A campaign that stops by its own rule."""
    step = max(1, len(trial) // 20)
    found = until(trial, "audit", defaults("sampler", "audit"), settings(), goal=goal, step=step, seed=seed)
    return {"set": name, "noise": noise, "seed": seed, "policy": STOP, "n": len(trial), "goal": goal, **found}


def main() -> None:
    """Fill the file, or print what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--policies", nargs="+", default=[ORACLE, *choices("sampler")])
    parser.add_argument("--noises", nargs="+", default=["symmetric", "class_dependent"], choices=NOISES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--most", type=int)
    parser.add_argument("--stop", type=float)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    if options.summary:
        print(summary(options.out))
        return
    lines = options.out.read_text(encoding="utf-8").splitlines() if options.out.exists() else []
    done = {(line["set"], line["noise"], line["seed"], line["policy"]) for line in map(json.loads, lines)}
    policies = options.policies if options.stop is None else [STOP]
    for seed, noise, folder in product(options.seeds, options.noises, options.folders):
        name = folder.name.removeprefix("emb-").rpartition("-")[0]
        missing = [policy for policy in policies if (name, noise, seed, policy) not in done]
        if not missing:
            continue
        trial = make_trial(folder, noise, seed, options.most)
        first = first_pool(trial, settings(), wanted=round(SHARES[0] * len(trial)), seed=seed)
        for policy in missing:
            made = (
                run_stopped(name, trial, noise, seed, options.stop)
                if policy == STOP
                else run_cell(name, trial, first, noise, seed, policy)
            )
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
