"""`ssl-robust train` under label noise: what is left of its clean-label balanced accuracy, and its lead over plain CE.

    python benchmarks/train_robustness.py --folder DATA --sets cxr_pneumonia malaria_nih --seeds 0 1 2 \
        --noise none symmetric:0.3 class_dependent:0.2 --out rows.jsonl -- trainer.max_epochs=12
    python benchmarks/train_robustness.py --summary --out rows.jsonl

DATA holds NAME_64.npz and NAME_index.csv.gz of each set. Every cell is one run of `train`: once with remedy=auto, once
with remedy=plain, both from the same encoder, on the same labels. Rows are appended as cells finish; finished ones are
not run again. Everything after `--` goes to `ssl-robust train`. The interval of a ratio is Student's over the seeds,
whose noise and training differ and whose test scans do not: beside it stands the interval of drawn patients.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ssl_robust.quoting import quote_path, quote_paths
from ssl_robust.run import read_json
from ssl_robust.settings import compose

VIEWS = {"cxr_pneumonia": "xray", "malaria_nih": "microscopy", "ham10000": "dermoscopy", "busi": "ultrasound"}
KEYS = ["set", "checkpoint", "noise", "seed", "remedy", "overrides"]


def overrides_of(cell: dict, folder: Path, out: Path) -> list[str]:
    kind, _, rate = cell["noise"].partition(":")
    name = cell["set"]
    data = ["data=npz", quote_path("data.path", folder / f"{name}_64.npz"),
            quote_path("data.index", folder / f"{name}_index.csv.gz"), "data.columns.patient_id=group_id",
            "data.columns.label=class", f"views={VIEWS.get(name, 'scan')}"]  # fmt: skip
    noise = [f"noise={kind}", *([f"noise.rate={rate}"] if rate else [])]
    own = [quote_path("checkpoint", cell["checkpoint"]), f"seed={cell['seed']}", f"remedy={cell['remedy']}"]
    return [*data, *noise, *own, quote_path("out", out), *quote_paths(cell["overrides"].split(), sweep=False)]


def measure(cell: dict, folder: Path) -> dict:
    """One run -> its row."""
    from ssl_robust.classify.train import train

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        out = train(compose("train", overrides_of(cell, folder, Path(place) / "run")))
        summary, results = read_json(out / "train.json"), read_json(out / "metrics.json")
    low, high = results["best"]["balanced_accuracy_interval"]
    test, last = summary["test"], results["last"]
    return {
        **cell, "chosen": summary["remedy"]["name"], "rate": summary["noise"]["rate"],
        "realised": results["noise"]["realised_rate"], "balanced_accuracy": test["balanced_accuracy"], "low": low,
        "high": high, "worst_class_recall": test["worst_class_recall"], "auroc": test["auroc"],
        "ece_before": test["ece_before_calibration"], "ece": test["ece"], "epoch": results["best"]["epoch"],
        "last_balanced_accuracy": last["balanced_accuracy"], "seconds": round(time.monotonic() - started),
    }  # fmt: skip


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def summary(rows: list[dict]) -> str:
    """Mean of each cell over the seeds, its share of the clean one, and its lead over plain cross-entropy."""
    table = pd.DataFrame(rows)
    of: dict[Any, pd.DataFrame] = {
        key: group.set_index("seed")
        for key, group in table.groupby(["set", "checkpoint", "noise", "overrides", "remedy"])
    }
    lines = [
        ["set", "encoder", "noise", "chosen", "balanced accuracy", "of clean", "minus plain", "ECE (before)", "seeds"]
    ]
    lines.append(["---"] * len(lines[0]))
    for (name, checkpoint, noise, overrides, remedy), mine in of.items():
        if remedy != "auto":
            continue
        clean = of.get((name, checkpoint, "none", overrides, "auto"))
        plain = of.get((name, checkpoint, noise, overrides, "plain"))
        score = mine["balanced_accuracy"]
        lines.append([
            name, Path(checkpoint).name, noise, "/".join(sorted(set(mine["chosen"]))), spread(score),
            "–" if clean is None else spread(score / clean["balanced_accuracy"]),
            "–" if plain is None else spread(score - plain["balanced_accuracy"]),
            f"{mine['ece'].mean():.3f} ({mine['ece_before'].mean():.3f})", str(len(mine)),
        ])  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(column: Any) -> str:
    """Mean and, from two seeds on, the 95 % interval of Student's t."""
    values = np.asarray(column, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def main() -> None:
    """Run the missing cells, or sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the sets lie")
    parser.add_argument("--sets", nargs="+", default=list(VIEWS))
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--noise", nargs="+", default=["none", "symmetric:0.3", "class_dependent:0.2"])
    parser.add_argument("--remedies", nargs="+", default=["auto", "plain"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--summary", action="store_true", help="run nothing")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if not options.summary:
        if options.folder is None:
            parser.error("--folder is missing: where the sets lie")
        text = " ".join(options.overrides)
        for values in ((name, options.checkpoint, noise, seed, remedy, text) for seed in options.seeds
                       for name in options.sets for noise in options.noise for remedy in options.remedies):  # fmt: skip
            cell = dict(zip(KEYS, values, strict=True))
            if not any(cell.items() <= row.items() for row in read(options.out)):
                row = measure(cell, options.folder)
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    print(summary(read(options.out)))


if __name__ == "__main__":
    main()
