"""How good are the features? kNN and logistic probe on test scans, rows x seeds, as one table and one JSON.

    python benchmarks/transfer.py --rows all --seeds 0 1 2 --out transfer.json -- data=phantoms encoder=regnetx_002
    python benchmarks/transfer.py --rows random histogram simclr supervised --seeds 0 1 2 --out cxr.json -- \
        data=npz data.path=cxr_pneumonia_64.npz data.index=cxr_pneumonia_index.csv.gz \
        data.columns.patient_id=group_id encoder=regnetx_002 views=xray trainer.max_epochs=25

A row is a pretraining method, `random` (an untrained encoder), `histogram` (64 intensity bins a channel) or
`supervised` (the same encoder trained from scratch on the clean training labels for `--supervised-epochs`; its kNN and
probe columns hold the classifier's own test measure). Everything after `--` goes to `ssl-robust pretrain`. Finished
cells of `--out` are kept, so a killed benchmark continues.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from ssl_robust import metrics, probes
from ssl_robust.data.scanset import open_scans
from ssl_robust.encoders.embeddings import embed
from ssl_robust.encoders.resolve import open_encoder_and_scans
from ssl_robust.finetune.stage import finetune
from ssl_robust.overrides import quote_path, quote_paths
from ssl_robust.pretrain.stage import pretrain
from ssl_robust.run import read_json, write_json
from ssl_robust.settings import choices, compose
from ssl_robust.training.processor import prepare_processor
from ssl_robust.transfer.baselines import histogram

K = 20


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
        "rank": metrics.effective_rank(vectors[asked]),
    }


def cell(
    row: str, seed: int, split: str, overrides: list[str], supervised: list[str], folder: Path
) -> dict[str, float]:
    started = time.monotonic()
    out, common = folder / f"{row}-{seed}", [*overrides, f"seed={seed}"]
    if row == "supervised":
        place = ["checkpoint=none", quote_path("out", out)]
        finetune(compose("finetune", [*only("finetune", common), *supervised, *place]))
        last = read_json(out / "metrics.json")["best"]
        return {"knn": last["balanced_accuracy"], "probe": last["balanced_accuracy"], "probe_auroc": last["auroc"],
                "minutes": (time.monotonic() - started) / 60}  # fmt: skip
    if row == "histogram":
        scans = open_scans(compose("embed", [*only("embed", common), "checkpoint=none"]).data)
        return score(histogram(scans.pixels), scans.manifest, split, seed)
    if row != "random":
        pretrain(compose("pretrain", [*common, f"method={row}", quote_path("out", out)]))
    minutes = (time.monotonic() - started) / 60
    checkpoint = "checkpoint=none" if row == "random" else quote_path("checkpoint", out)
    encoder, scans = open_encoder_and_scans(compose("embed", [*only("embed", common), checkpoint]))
    vectors = embed(encoder, scans, batch_size=512).vectors
    return {**score(vectors, scans.manifest, split, seed), "minutes": minutes}


def table(cells: list[dict]) -> str:
    lines = ["| row | kNN | probe | probe AUROC | effective rank | minutes | seeds |", "|---|---|---|---|---|---|---|"]
    for row in dict.fromkeys(each["row"] for each in cells):
        mine = [each for each in cells if each["row"] == row]
        parts = [row]
        for name, digits in (("knn", 3), ("probe", 3), ("probe_auroc", 3), ("rank", 1), ("minutes", 1)):
            values = [each[name] for each in mine if each.get(name) is not None]
            spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 and name != "minutes" else ""
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
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if options.split == "val" and "supervised" in options.rows:
        parser.error("the row `supervised` is measured on test scans only; leave it out with --split val")
    options.overrides = quote_paths(options.overrides, sweep=False)
    rows = ["random", "histogram", *choices("method")] if options.rows == ["all"] else options.rows
    asked = {"overrides": options.overrides, "split": options.split}
    before = json.loads(options.out.read_text()) if options.out.exists() else {**asked, "cells": []}
    if {name: before.get(name) for name in asked} != asked:
        parser.error(f"{options.out} holds cells of another split or of other overrides; choose another --out")
    cells = before["cells"]
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for row in rows:
                if any(each["row"] == row and each["seed"] == seed for each in cells):
                    continue
                result = cell(row, seed, options.split, options.overrides, options.supervised, Path(folder))
                cells.append({"row": row, "seed": seed, **result})
                write_json(options.out, {**asked, "cells": cells})
                print(table(cells), flush=True)


if __name__ == "__main__":
    main()
