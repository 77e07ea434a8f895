"""How many wrong labels do the audit and its peers find, on the same vectors and the same wrong labels?

    python benchmarks/audit_quality.py emb-busi-own emb-busi-default … --scans DATA --out quality.jsonl --jobs 2
    python benchmarks/audit_quality.py emb-busi-own … --out quality.jsonl --rows ours --fresh    # ours again
    python benchmarks/audit_quality.py --out quality.jsonl --summary

Each argument is a directory of `ssl-robust embed`, named emb-SET-ENCODER, whose encoder never saw a label. The labels
of all splits are made wrong after the encoder was trained. "Wrong" means changed here: errors which a set had before
(about 5 % of malaria_nih) count against every method that finds them. The noise: symmetric; class-dependent, each class
taken for the next; instance-dependent, on the pixels of DATA/SET_64.npz, or on the vectors without --scans; that of a
pathologist (of four classes: for another number his table is repeated along the diagonal and cut, which makes it
rater-like and no reader's); all scans of a patient at once. With two classes, class- and instance-dependent noise are
symmetric. A finished cell is not computed again; of equal ones the last line counts.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _audit_peers import Verdict, all_peers
from _audit_summary import summary
from sklearn.metrics import average_precision_score, roc_auc_score

import ssl_robust as sr
from ssl_robust.noise.corruption import Corruption, corrupt
from ssl_robust.settings import defaults

NOISES = {
    "symmetric 10 %": {"kind": "symmetric", "rate": 0.1},
    "symmetric 40 %": {"kind": "symmetric", "rate": 0.4},
    "class-dependent 20 %": {"kind": "class_dependent", "rate": 0.2},
    "instance-dependent 20 %": {"kind": "instance_dependent", "rate": 0.2},
    "rater-like": {"kind": "raters"},
    "patient-level 20 %": {"kind": "symmetric", "rate": 0.2, "by": "patient"},
}
_BINS = 10


@cache
def read_set(folder: str, scans: str | None) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Vectors and samples of an `embed` run, and what instance-dependent noise looks at."""
    vectors = np.load(Path(folder) / "embeddings.npy")
    samples = pd.read_csv(Path(folder) / "samples.csv", dtype="string")
    if scans is None:
        return vectors, samples, vectors
    with np.load(Path(scans) / f"{set_and_encoder(folder)[0]}_64.npz") as file:
        pixels = np.concatenate([file[f"{split}_images"] for split in ("train", "val", "test")])
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    if len(pixels) != len(vectors):
        raise SystemExit(f"{folder} has {len(vectors)} vectors and its scans are {len(pixels)}; expected one each")
    return vectors, samples, pixels


def set_and_encoder(folder: str) -> tuple[str, str]:
    """emb-SET-ENCODER -> SET, ENCODER."""
    name, _, encoder = Path(folder).name.removeprefix("emb-").rpartition("-")
    return name, encoder


def rater_like(seed: int, n_classes: int) -> np.ndarray:
    """A pathologist's table along the diagonal, cut to K classes: the first reader's for even seeds."""
    reader = np.array(defaults("noise", "raters")["readers"][("chaoyang_a", "chaoyang_b")[seed % 2]])
    matrix = np.kron(np.eye(-(-n_classes // len(reader))), reader)[:n_classes, :n_classes]
    return matrix / matrix.sum(axis=1, keepdims=True)


def make_wrong(samples: pd.DataFrame, looks: np.ndarray, noise: str, seed: int) -> tuple[np.ndarray, Corruption]:
    """Codes before, and what was done to them."""
    codes, classes = pd.factorize(samples["label"], sort=True)
    settings = dict(NOISES[noise])
    if settings["kind"] == "raters":
        settings["matrix"] = rater_like(seed, len(classes)).tolist()
    patients = samples["patient_id"].to_numpy(dtype=object)
    ids = samples["sample_id"].to_numpy()
    made = corrupt(codes, seed=seed, n_classes=len(classes), ids=ids, groups=patients, features=looks, **settings)
    return codes, made


def ours(vectors: np.ndarray, given: np.ndarray, samples: pd.DataFrame, seed: int) -> dict[str, Verdict]:
    """`sr.audit` as a user calls it."""
    started = time.monotonic()
    table = sr.audit(vectors, given, groups=samples["patient_id"], ids=samples["sample_id"], seed=seed)
    seconds = time.monotonic() - started
    probability = table["p_mislabeled"].to_numpy(dtype=float) if "p_mislabeled" in table else None
    rate = (table.attrs.get("estimate") or {}).get("rate") or {}
    interval = {"rate": rate.get("estimate"), "low": rate.get("low"), "high": rate.get("high")}
    score = -table["rank"].to_numpy(dtype=float)  # the order in which a user reads
    return {"ssl_robust": Verdict(score, seconds, probability, **interval)}


def measure(verdict: Verdict, wrong: np.ndarray, seed: int) -> dict[str, Any]:
    """Numbers of one method in one cell."""
    shuffled = np.random.default_rng(seed).permutation(len(wrong))  # nobody gains by the order of equal scores
    first = shuffled[np.argsort(-verdict.score[shuffled], kind="stable")][: wrong.sum()]
    row = {
        "auroc": roc_auc_score(wrong, verdict.score),
        "ap": average_precision_score(wrong, verdict.score),
        "precision": wrong[first].mean(),
        "seconds": verdict.seconds,
        **{name: getattr(verdict, name) for name in ("rate", "low", "high")},
    }
    if verdict.probability is not None:
        p = verdict.probability
        place = np.minimum((p * _BINS).astype(int), _BINS - 1)
        row["ece"] = _ece(p, wrong)
        row["brier"] = ((p - wrong) ** 2).mean()
        row["bins"] = [np.bincount(place, values, _BINS).tolist() for values in (np.ones(len(p)), p, wrong)]
    return {name: float(value) if isinstance(value, np.floating) else value for name, value in row.items()}


def _ece(p: np.ndarray, wrong: np.ndarray, n_bins: int = 15) -> float:
    """Expected calibration error of the probability that a label is wrong, bins of equal width."""
    place = np.minimum((p * n_bins).astype(int), n_bins - 1)
    return float(np.abs(np.bincount(place, p - wrong, n_bins)).sum() / len(p))


def run_cell(folder: str, scans: str | None, noise: str, seed: int, side: str) -> dict[str, Any]:
    """One line of the output: all methods of one side in one cell."""
    vectors, samples, looks = read_set(folder, scans)
    codes, made = make_wrong(samples, looks, noise, seed)
    if side == "ours":
        verdicts = ours(vectors, made.labels, samples, seed)
    else:
        groups = pd.factorize(samples["patient_id"].fillna("own " + samples["sample_id"]))[0]
        verdicts = all_peers(vectors, made.labels, groups, n_classes=int(codes.max()) + 1, seed=seed)
    name, encoder = set_and_encoder(folder)
    return {
        "set": name, "encoder": encoder, "noise": noise, "seed": seed, "side": side, "n": len(codes),
        "rate": made.realised_rate,
        "rows": {method: measure(verdict, made.flipped, seed) for method, verdict in verdicts.items()},
    }  # fmt: skip


def cell_key(line: dict[str, Any]) -> tuple:
    """What makes two lines the same cell."""
    return tuple(line[name] for name in ("set", "encoder", "noise", "seed", "side"))


def main() -> None:
    """Fill the file, or print what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="directories of `embed`, named emb-SET-ENCODER")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, a cell each")
    parser.add_argument("--scans", help="folder with SET_64.npz, for instance-dependent noise")
    parser.add_argument("--rows", choices=["ours", "peers", "all"], default="all")
    parser.add_argument("--noise", choices=list(NOISES), nargs="*", default=list(NOISES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="compute finished cells again")
    parser.add_argument("--summary", action="store_true", help="print Markdown")
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    if options.summary:
        print(summary(list({cell_key(line): line for line in lines}.values())))
        return
    done = set() if options.fresh else {cell_key(line) for line in lines}
    sides = ["ours", "peers"] if options.rows == "all" else [options.rows]
    cells = [
        (str(folder), options.scans, noise, seed, side)
        for seed in range(options.seeds)
        for folder in options.folders
        for noise in options.noise
        for side in sides
        if (*set_and_encoder(folder), noise, seed, side) not in done
    ]
    # Forked, as cleanlab finds nothing, without an error, in a process that was spawned.
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("fork")) as pool, options.out.open("a") as file:
        for number, each in enumerate(as_completed([pool.submit(run_cell, *cell) for cell in cells]), 1):
            line = each.result()
            file.write(json.dumps(line) + "\n")
            file.flush()
            best = max(line["rows"].items(), key=lambda row: row[1]["ap"])
            print(f"{number}/{len(cells)} {cell_key(line)}: {best[0]} {best[1]['ap']:.3f}", flush=True)


if __name__ == "__main__":
    main()
