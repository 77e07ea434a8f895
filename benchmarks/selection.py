"""Which measure, known without clean labels, tells the good encoder? Each against the probe on clean labels.

    python benchmarks/transfer.py --rows all --seeds 0 --core-minutes 10 --keep runs/cxr --out cxr.json -- data=npz …
    python benchmarks/selection.py runs/cxr runs/malaria --out selection.json

Takes the encoders that the runs below the folders passed through (`monitor.keep=all`). The truth is the balanced
accuracy, on test scans, of a logistic probe fitted on clean training labels. `kNN n %` is the vote of training scans on
validation scans with so much symmetric noise on both; the other measures are columns of metrics.csv. For each
measure: Spearman's rank correlation with the truth over the epochs of a run (mean over the runs, 95 % interval by
bootstrap over runs), over the last encoders of the methods of one folder, and over all encoders of a folder; and what
its choice of an epoch costs: the truth at that epoch minus that of the last epoch. Finished runs of `--out` are kept.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from ssl_robust import metrics, probes
from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.encoders.checkpoint import load_encoder
from ssl_robust.encoders.embeddings import encode_rows
from ssl_robust.files import read_columns, read_json, write_json
from ssl_robust.noise.corruption import noise_labels
from ssl_robust.pretrain.selection import CRITERIA, goodness
from ssl_robust.settings import defaults
from ssl_robust.training.device import pick_precision
from ssl_robust.training.processor import prepare_processor

N_TRAIN, K, TEMPERATURE = 2000, 20, 0.07
RATES = (0.0, 0.2, 0.4)


def balanced(probabilities: np.ndarray, labels: np.ndarray, n_classes: int) -> float:
    return float(np.nanmean(metrics.class_recalls(labels, probabilities.argmax(axis=1), n_classes=n_classes)))


def judge(directory: Path, scans: ScanSet, seed: int) -> dict[str, float]:
    """The truth about one encoder, and what noisy labels say of it."""
    manifest = scans.manifest
    n_classes, codes, groups = len(manifest.classes), manifest.codes(), manifest.groups()
    train, val, test = (manifest.rows(split) for split in ("train", "val", "test"))
    train = np.sort(np.random.default_rng(seed).permutation(train)[:N_TRAIN])
    encoder = load_encoder(directory, in_chans=scans.channels)
    encoder.autocast = pick_precision("auto", torch.device("cpu"))
    inside, between, outside = (
        encode_rows(encoder, scans, rows, batch_size=256, device=torch.device("cpu")) for rows in (train, val, test)
    )
    fitted = probes.logistic_probe(inside, codes[train], outside, n_classes=n_classes, groups=groups[train], seed=seed)
    values = {"truth": balanced(fitted, codes[test], n_classes)}
    for rate in RATES:
        given = noise_labels(manifest, {**defaults("noise", "symmetric"), "rate": rate}, seed).labels
        votes = probes.knn_predict(inside, given[train], between, n_classes=n_classes, k=K, temperature=TEMPERATURE)
        values[f"kNN {rate:.0%}"] = balanced(votes, given[val], n_classes)
    return values


def study(run: Path) -> list[dict]:
    """One row per encoder that a run passed through."""
    facts = read_json(run / "run.json")
    scans = open_scans(facts["config"]["data"])
    curves = read_columns(run / "metrics.csv")
    rows = []
    for snapshot in sorted((run / "snapshots").iterdir()):
        epoch = int(snapshot.name)
        at = int(np.flatnonzero(curves["epoch"] == epoch)[0])
        told = {name: float(goodness(name, curves[column])[at]) for name, column in CRITERIA.items() if name != "knn"}
        loss = -float(curves["loss"][at])
        row = {"run": run.name, "folder": run.parent.name, "epoch": epoch, "low loss": loss, **told}
        rows.append({**row, **judge(snapshot, scans, facts["config"]["seed"])})
    return rows


def interval(values: np.ndarray) -> str:
    draws = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{values.mean():+.2f} ({low:+.2f} to {high:+.2f})"


def rho(rows: pd.DataFrame, name: str) -> float:
    """Spearman's rank correlation where the measure could be told."""
    told = rows[rows[name].notna()]
    return float(spearmanr(told[name], told["truth"]).statistic) if told[name].nunique() > 1 else 0.0


def table(rows: pd.DataFrame) -> str:
    names = [name for name in rows.columns if name not in ("run", "folder", "epoch", "truth")]
    lines = ["| measure | over the epochs of a run | over methods | over all | truth at its choice minus at the end |",
             "|---|---|---|---|---|"]  # fmt: skip
    runs = [run for _, run in rows.groupby(["folder", "run"])]
    last = pd.concat([run[run["epoch"] == run["epoch"].max()] for run in runs])
    for name in names:
        within = np.array([rho(run, name) for run in runs])
        methods = " / ".join(f"{rho(each, name):+.2f}" for _, each in last.groupby("folder"))
        everything = " / ".join(f"{rho(each, name):+.2f}" for _, each in rows.groupby("folder"))
        # Of equals the later one, as the loop chooses.
        gains = np.array(
            [
                run.sort_values([name, "epoch"], na_position="first")["truth"].iloc[-1]
                - run.sort_values("epoch")["truth"].iloc[-1]
                for run in runs
            ]
        )
        gain = interval(gains).replace("+0.", "+.").replace("-0.", "-.")
        lines.append(f"| {name} | {interval(within)} | {methods} | {everything} | {gain} |")
    return "\n".join(lines)


def main() -> None:
    """Fill the table."""
    prepare_processor()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="each holds the runs of one set")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    for run in sorted(run for folder in options.folders for run in folder.iterdir()):
        if not (run / "encoder.safetensors").exists():
            continue
        if not any((each["folder"], each["run"]) == (run.parent.name, run.name) for each in rows):
            rows += study(run)
            write_json(options.out, {"rows": rows})
            print(table(pd.DataFrame(rows)), flush=True)


if __name__ == "__main__":
    main()
