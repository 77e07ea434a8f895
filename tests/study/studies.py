"""A made-up study on disk: predictions that are right as often as one asks, and everything that a study leaves."""

from itertools import product

import numpy as np
import pandas as pd

from ssl_robust.data.written import write_table
from ssl_robust.run import Run, write_json

INITS = {"random": 0.0, "vae": 0.02, "rotation": 0.04, "simclr": 0.10}  # how much of the drop each one takes away
STRATEGIES = {"cross_entropy": 0.0, "gce": 0.05, "coteaching": 0.08}
SETS = {"malaria": (2, 0.92), "xray": (3, 0.80)}  # classes, and accuracy on clean labels
NOISES = (("none", 0.0), ("symmetric", 0.2), ("symmetric", 0.4), ("class_dependent", 0.2))


def make_study(
    path, *, sets=SETS, inits=INITS, strategies=STRATEGIES, noises=NOISES, seeds=(0, 1, 2), n_test=200, finished=True,
    keep=lambda cell: True, last=True, difficulty=True, stage=True,
):  # fmt: skip
    """Write the artefacts; `keep` tells which cells are finished."""
    if stage:
        with Run(path, stage="study", config={"seed": 0}):
            pass
    facts = {"title": "made up", "sets": list(sets), "inits": list(inits), "strategies": list(strategies),
             "noises": [{"kind": kind, "rate": rate} for kind, rate in noises], "seeds": list(seeds),
             "mode": "features", "commands": []}  # fmt: skip
    write_json(path / "study.json", facts)
    rng, rows = np.random.default_rng(0), []
    for number, (name, (n_classes, clean)) in enumerate(sets.items()):
        labels = np.arange(n_test) % n_classes
        folder = f"s{number}"
        ids = [f"scan{i}" for i in range(n_test)]
        write_set(path / "sets" / name, ids, labels)
        ease = rng.random(n_test)  # some scans are hard for everyone
        for init, strategy, (kind, rate), seed in product(inits, strategies, noises, seeds):
            cell = {"set": name, "init": init, "strategy": strategy, "noise": kind, "rate": rate, "seed": seed}
            if not keep(cell):
                continue
            drop = (
                rate
                * (1.2 if kind == "symmetric" else 0.8)
                * max(0.2, 0.6 - 2 * inits[init] - 2 * strategies[strategy])
            )
            accuracy = clean - drop + inits[init] / 4 + 0.01 * rng.standard_normal()
            right = 0.7 * ease + 0.3 * rng.random(n_test) < np.quantile(0.7 * ease + 0.3 * rng.random(n_test), accuracy)
            out = f"cells/{folder}-{init}-{strategy}-{kind}-{rate:g}-{seed}".replace("<", "").replace('"', "")
            rows.append(
                {**cell, **write_cell(path / out, ids, labels, right, n_classes, last=last, rate=rate), "cell": out}
            )
    write_table(path / "cells.csv", pd.DataFrame(rows, columns=None if rows else ["set", "cell"]))
    if difficulty:
        write_table(path / "difficulty.csv", pd.DataFrame(
            [{"set": name, "init": init, "fisher": 3 * clean + inits[init], "knn_balanced_accuracy": clean - 0.05}
             for (name, (_, clean)), init in product(sets.items(), inits)]))  # fmt: skip
    return path


def write_set(folder, ids, labels):
    folder.mkdir(parents=True)
    groups = np.arange(len(ids)) // 2  # two scans a patient
    write_table(folder / "test.csv", pd.DataFrame({"sample_id": ids, "group": groups, "label": labels}))


def write_cell(folder, ids, labels, right, n_classes, *, last, rate):
    folder.mkdir(parents=True)
    predicted = np.where(right, labels, (labels + 1) % n_classes)
    columns = [ids, ["test"] * len(ids), labels, predicted, *([np.where(right, 0.9, 0.0)] if last else [])]
    names = ["sample_id", "split", "label", "predicted", "last_correct"][: len(columns)]
    lines = [",".join(map(str, row)) for row in [names, *zip(*columns, strict=True)]]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    epochs = np.arange(1, 11)
    memorised = rate * (1 - np.exp(-epochs / 4)) if rate else np.full(10, np.nan)
    lines = ["epoch,memorised", *(f"{epoch},{value}" for epoch, value in zip(epochs, memorised, strict=True))]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    score = np.mean([right[labels == code].mean() for code in np.unique(labels)])
    return {"n_train": 500, "n_test": len(ids), "n_classes": n_classes, "realised_rate": rate,
            "best_balanced_accuracy": score, "last_balanced_accuracy": 0.9 * score,
            "best_worst_class_recall": score - 0.1, "last_worst_class_recall": score - 0.2,
            "best_memorised": rate / 2 if rate else np.nan, "seconds": 3.0, "pretrain_seconds": 120.0}  # fmt: skip
