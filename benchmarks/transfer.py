"""How good are the features? kNN and probe on test scans, and the audit at 20 % noise, rows x seeds, as one table.

    python benchmarks/transfer.py --rows all --seeds 0 1 2 --out transfer.json -- data=phantoms encoder=regnetx_002
    python benchmarks/transfer.py --rows random histogram simclr supervised --seeds 0 1 2 --out cxr.json -- \
        data=npz data.path=cxr_pneumonia_64.npz data.index=cxr_pneumonia_index.csv.gz \
        data.columns.patient_id=group_id encoder=regnetx_002 views=xray trainer.max_epochs=25

A row is a pretraining method, `default` (the encoder that ships), the folder of another checkpoint, `random` (an
untrained encoder), `histogram` (64 intensity bins a channel) or `supervised` (the same encoder trained from scratch on
the clean training labels, with the options of `--supervised`; its kNN and probe columns hold the classifier's own test
measure). `audit AP` is the average precision of `ssl-robust audit noise=symmetric noise.rate=0.2` with the features.
Everything after `--` goes to `ssl-robust pretrain`. Finished cells of `--out` are kept, so a killed benchmark
continues; so are the runs in `--keep`.

`--core-minutes 10` gives all methods one budget: each gets as many epochs as fit into so much processor time, measured
beforehand in two short runs, so that neither cores nor other work on the machine change the result. `minutes` then is
the processor time that the whole of pretraining took.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_robust import metrics, probes, spectra
from ssl_robust.audit.table import audit_table
from ssl_robust.data.histogram import histogram
from ssl_robust.data.scanset import open_scans
from ssl_robust.encoders.embeddings import embed
from ssl_robust.encoders.resolve import open_encoder_and_scans
from ssl_robust.finetune.stage import finetune
from ssl_robust.noise.corruption import noise_labels
from ssl_robust.pretrain.stage import pretrain
from ssl_robust.quoting import quote_path, quote_paths
from ssl_robust.run import read_json, write_json
from ssl_robust.settings import choices, compose, defaults
from ssl_robust.training.processor import prepare_processor

K = 20
LOOKS = 6  # of the monitor in a run with a budget, each of which keeps its encoder


def only(stage: str, overrides: list[str]) -> list[str]:
    """The overrides that another stage takes too: the data, the encoder, where to run."""
    keep = ("data", "encoder", "seed") if stage == "embed" else ("data", "encoder", "seed", "views")
    return [each for each in overrides if each.split("=")[0].split(".")[0] in keep]


def score(vectors: np.ndarray, manifest, split: str, seed: int) -> dict[str, float]:
    """kNN and logistic probe fitted on the training split's clean labels, measured on another one."""
    codes, groups, n_classes = manifest.codes(), manifest.groups(), len(manifest.classes)
    train, asked = manifest.rows("train"), manifest.rows(split)
    knn = probes.knn_predict(vectors[train], codes[train], vectors[asked], n_classes=n_classes, k=K, temperature=0.1)
    probe = probes.logistic_probe(
        vectors[train], codes[train], vectors[asked], n_classes=n_classes, groups=groups[train], seed=seed
    )
    measure = {name: metrics.classification(codes[asked], p) for name, p in (("knn", knn), ("probe", probe))}
    return {
        "knn": measure["knn"]["balanced_accuracy"],
        "probe": measure["probe"]["balanced_accuracy"],
        "probe_auroc": measure["probe"]["auroc"],
        "rank": spectra.effective_rank(vectors[asked]),
        "audit": found(vectors, manifest, seed),
    }


def found(vectors: np.ndarray, manifest, seed: int) -> float:
    """Average precision of finding the labels that symmetric noise of 20 % has changed in train and val."""
    given = noise_labels(manifest, {**defaults("noise", "symmetric"), "rate": 0.2}, seed).labels
    labels, groups = pd.Categorical.from_codes(given, list(manifest.classes)), manifest.groups()
    table = audit_table(vectors, labels, groups=groups, ids=manifest.table["sample_id"].to_numpy(dtype=object))
    known = given >= 0
    wrong, scores = given != manifest.codes(), table["score"].to_numpy(dtype=float, na_value=np.nan)
    measures = metrics.detection(wrong[known], scores[known], n_resamples=1, level=0.95, seed=seed)
    return measures["average_precision"].estimate


def epochs_within(minutes: float, row: str, overrides: list[str], folder: Path) -> int:
    """How many epochs of a method fit into so much processor time, from runs of one and of three."""
    seconds = []
    for n in (1, 3):
        started = time.process_time()
        some = ["seed=0", f"trainer.max_epochs={n}", "trainer.progress=false", "monitor.every=9", "monitor.keep=none"]
        pretrain(compose("pretrain", [*overrides, *some, f"method={row}", quote_path("out", folder / f"{row}-{n}")]))
        seconds.append(time.process_time() - started)
    each = (seconds[1] - seconds[0]) / 2
    return max(LOOKS, round((60 * minutes - seconds[0]) / each) + 1)


def cell(
    row: str, seed: int, split: str, overrides: list[str], supervised: list[str], folder: Path
) -> dict[str, float]:
    started = time.process_time()
    out, common = folder / f"{row}-{seed}", [*overrides, f"seed={seed}"]
    if row == "supervised":
        place = ["checkpoint=none", quote_path("out", out)]
        finetune(compose("finetune", [*only("finetune", common), *supervised, *place]))
        last = read_json(out / "metrics.json")["best"]
        return {"knn": last["balanced_accuracy"], "probe": last["balanced_accuracy"], "probe_auroc": last["auroc"],
                "minutes": (time.process_time() - started) / 60}  # fmt: skip
    if row == "histogram":
        scans = open_scans(compose("embed", [*only("embed", common), "checkpoint=none"]).data)
        return score(histogram(scans.pixels), scans.manifest, split, seed)
    if row in choices("method"):
        resumed = ["resume=true"] if out.exists() else []
        pretrain(compose("pretrain", [*common, *resumed, f"method={row}", quote_path("out", out)]))
    minutes = (time.process_time() - started) / 60
    chosen = {"random": "none"}.get(row, str(out) if row in choices("method") else row)
    settings = [each for each in only("embed", common) if chosen == "none" or not each.startswith("encoder")]
    encoder, scans = open_encoder_and_scans(compose("embed", [*settings, quote_path("checkpoint", chosen)]))
    vectors = embed(encoder, scans, batch_size=512).vectors
    return {**score(vectors, scans.manifest, split, seed), "minutes": minutes}


def table(cells: list[dict]) -> str:
    head = ["row", "kNN", "probe", "probe AUROC", "audit AP", "effective rank", "epochs", "minutes", "seeds"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in dict.fromkeys(each["row"] for each in cells):
        mine = [each for each in cells if each["row"] == row]
        parts = [row]
        for name, digits in (("knn", 3), ("probe", 3), ("probe_auroc", 3), ("audit", 3), ("rank", 1),
                             ("epochs", 0), ("minutes", 1)):  # fmt: skip
            values = [each[name] for each in mine if each.get(name) is not None]
            spread = (
                f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 and digits and name != "minutes" else ""
            )
            parts.append(f"{np.mean(values):.{digits}f}{spread}" if values else "")
        lines.append("| " + " | ".join([*parts, str(len(mine))]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Fill the table."""
    prepare_processor()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=["all"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--supervised", nargs="*", default=["trainer.max_epochs=20"], help="overrides of `finetune`")
    parser.add_argument("--split", choices=["test", "val"], default="test", help="val: to choose settings by")
    parser.add_argument("--core-minutes", type=float, help="processor time for each method and seed, of pretraining")
    parser.add_argument("--keep", type=Path, help="folder in which the runs stay, with the encoders of their looks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if options.split == "val" and "supervised" in options.rows:
        parser.error("the row `supervised` is measured on test scans only; leave it out with --split val")
    options.overrides = quote_paths(options.overrides, sweep=False)
    rows = ["random", "histogram", *choices("method")] if options.rows == ["all"] else options.rows
    asked = {"overrides": options.overrides, "split": options.split, "core_minutes": options.core_minutes}
    before = json.loads(options.out.read_text()) if options.out.exists() else {**asked, "cells": [], "epochs": {}}
    if {name: before.get(name) for name in asked} != asked:
        parser.error(f"{options.out} holds cells of another split, budget or other overrides; choose another --out")
    cells, epochs = before["cells"], before["epochs"]
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for row in rows:
                if any(each["row"] == row and each["seed"] == seed for each in cells):
                    continue
                overrides = options.overrides
                if options.core_minutes and row in choices("method"):
                    if row not in epochs:
                        epochs[row] = epochs_within(options.core_minutes, row, overrides, Path(folder))
                    n = epochs[row]
                    looks = ["monitor.keep=all" if options.keep else "monitor.keep=none", f"monitor.every={n // LOOKS}"]
                    overrides = [*overrides, f"trainer.max_epochs={n}", *looks]
                kept = options.keep or Path(folder)
                result = cell(row, seed, options.split, overrides, options.supervised, kept)
                cells.append({"row": row, "seed": seed, **result, "epochs": epochs.get(row)})
                write_json(options.out, {**asked, "epochs": epochs, "cells": cells})
                print(table(cells), flush=True)


if __name__ == "__main__":
    main()
