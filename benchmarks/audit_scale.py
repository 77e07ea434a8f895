"""The audit from ten thousand to a million embeddings: time, memory, recall, and what approximate search costs.

    python benchmarks/audit_scale.py                  # 10k, 50k, 200k; cleanlab beside the first two
    python benchmarks/audit_scale.py --n 10000 50000 200000 1000000 --no-cleanlab --json scale.json
    python benchmarks/audit_scale.py --n 200000 --compare-exact          # average precision against the exact audit's

Measured is the whole process `ssl-robust audit data=embeddings …`, imports, scores, intervals, tables and report
included. Memory is what the process holds itself (RssAnon, its peak sampled 20 times a second) and the usual peak RSS,
in which the pages of the memory-mapped embeddings count as well.

The embeddings are made to look like an encoder's: 12 classes of unequal size with 6 sub-clusters each, a curved surface
of 16 dimensions in 384, overlapping classes, patients of 1 to 10 scans that resemble each other; 5 % of the labels are
wrong. cleanlab's Datalab is run as its documentation shows, with features and with predicted probabilities from an
out-of-fold logistic regression. It is no dependency of this project: `pip install "cleanlab[datalab]"`, or name a
Python that has it with --cleanlab-python.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from ssl_robust.neighbors.exact import search_rows
from ssl_robust.neighbors.unit import UnitRows

_CLASSES, _PARTS, _SURFACE, _WRONG = 12, 6, 16, 0.05
_BLOCK = 20_000  # samples made at a time
_QUERIES = 1000  # on which recall@10 is measured
_CLEANLAB = Path(__file__).with_name("_datalab.py")


def write_data(folder: Path, n: int, dim: int, seed: int = 0) -> np.ndarray:
    """vectors.npy and labels.csv; returns which labels are wrong."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 11, n)
    patient = np.repeat(np.arange(n), sizes)[:n]
    shares = 1 / np.arange(1, _CLASSES + 1)
    class_of = rng.choice(_CLASSES, n, p=shares / shares.sum())[patient]
    part_of = rng.integers(0, _PARTS, n)[patient]
    centers = rng.normal(size=(_CLASSES, 1, _SURFACE)) * 0.9 + rng.normal(size=(_CLASSES, _PARTS, _SURFACE)) * 0.9
    of_patient = 0.5 * rng.normal(size=(n, _SURFACE))
    spread = rng.uniform(0.3, 1.2, size=(_CLASSES, _PARTS, _SURFACE))
    lift, bend = (rng.normal(size=(_SURFACE, dim)) / np.sqrt(_SURFACE) for _ in range(2))
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", mode="w+", dtype=np.float32, shape=(n, dim))
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        of = class_of[rows], part_of[rows]
        point = centers[of] + of_patient[patient[rows]] + spread[of] * rng.normal(size=(len(of[0]), _SURFACE))
        surface = point @ lift + np.sin(point @ bend)
        vectors[rows] = np.maximum(surface + 0.1 * rng.normal(size=surface.shape) + 0.5, 0)  # as after a ReLU
    vectors.flush()
    wrong = rng.random(n) < _WRONG
    given = np.where(wrong, (class_of + rng.integers(1, _CLASSES, n)) % _CLASSES, class_of)
    names = np.array([f"class {code}" for code in range(_CLASSES)])
    pd.DataFrame(
        {
            "sample_id": [f"scan {row:07d}" for row in range(n)],
            "label": names[given],
            "true_label": names[class_of],
            "patient_id": [f"patient {code}" for code in patient],
        }
    ).to_csv(folder / "labels.csv", index=False)
    return wrong


def watched(command: list[str]) -> dict[str, float]:
    """Run a command; seconds on the clock and on all cores, peak MiB with and without file-mapped pages."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = {"anon": 0}
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.05):
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                return
            lines = [line.split() for line in status.splitlines() if line.startswith("RssAnon")]
            peak["anon"] = max([peak["anon"], *(int(each[1]) for each in lines)])

    watcher = threading.Thread(target=sample)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    ended.set()
    watcher.join()
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return {
        "seconds": seconds,
        "computing_seconds": usage.ru_utime + usage.ru_stime,
        "own_mib": peak["anon"] / 1024,
        "rss_mib": usage.ru_maxrss / 1024,
    }


def audit(folder: Path, name: str, *overrides: str) -> dict[str, Any]:
    """One audit: what it took and what it found."""
    data = ["data=embeddings", f"data.path={folder}/vectors.npy", f"data.labels={folder}/labels.csv"]
    out = folder / name
    took = watched([sys.executable, "-m", "ssl_robust.cli", "audit", *data, f"out={out}", "overwrite=true", *overrides])
    summary = json.loads((out / "audit.json").read_text())
    found: dict[str, Any] = {**took, "ap": summary["truth"]["average_precision"]["estimate"]}
    return {**found, "search": summary["search"], "table": out / "audit.csv"}


def recall_at_10(folder: Path, table: Path) -> float:
    """Share of the ten true neighbours that the audit named, on random samples; needs n_neighbors=10."""
    rows = pd.read_csv(table, usecols=["sample_id", "neighbors"])
    labels = pd.read_csv(folder / "labels.csv", usecols=["patient_id"])
    groups = np.unique(labels["patient_id"], return_inverse=True)[1]
    unit = UnitRows(np.load(folder / "vectors.npy", mmap_mode="r"), center=True)
    chosen = np.sort(np.random.default_rng(1).choice(len(rows), min(_QUERIES, len(rows)), replace=False))
    truth = search_rows(unit, chosen, np.arange(len(rows)), groups, 10).indices
    place = {name: row for row, name in enumerate(rows["sample_id"])}
    named = [{place[name] for name in json.loads(rows["neighbors"].iat[row])} for row in chosen]
    return float(np.mean([len(each & set(line.tolist())) / 10 for each, line in zip(named, truth, strict=True)]))


def exponent(n: list[int], values: list[float]) -> float:
    """Slope of the least-squares line through log values over log N."""
    return float(np.polyfit(np.log(n), np.log(values), 1)[0])


def datalab(python: str, folder: Path, wrong: np.ndarray) -> dict[str, Any] | None:
    """cleanlab's Datalab in a process of its own."""
    have = subprocess.run([python, "-c", "import cleanlab, datasets"], capture_output=True, check=False)
    if have.returncode:
        print(f'cleanlab is not installed for {python}: pip install "cleanlab[datalab]", or name a Python that has it '
              "with --cleanlab-python")  # fmt: skip
        return None
    took = watched([python, str(_CLEANLAB), str(folder)])
    scores = np.load(folder / "datalab.npy")
    return {**took, "ap": average_precision_score(wrong, 1 - scores)}


def line(n: int, who: str, found: dict[str, Any], more: str = "") -> None:
    print(f"{n:>9,}  {who:<17} {found['seconds']:>8.1f} {found['computing_seconds']:>9.1f} {found['own_mib']:>9.0f} "
          f"{found['rss_mib']:>9.0f}  {found['ap']:.4f}  {more}", flush=True)  # fmt: skip


def measure(options: argparse.Namespace, n: int) -> dict[str, Any]:
    """All lines of one size."""
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        wrong = write_data(folder, n, options.dim)
        found = audit(folder, "audit", "n_neighbors=10", *options.override)
        recall = recall_at_10(folder, found.pop("table"))
        line(n, f"audit, {found['search']['kind']}", found, f"recall@10 {recall:.4f}")
        row: dict[str, Any] = {"n": n, "audit": found, "recall_at_10": recall}
        if options.compare_exact and found["search"]["kind"] != "exact":
            row["exact"] = audit(folder, "exact", "neighbors=exact")
            del row["exact"]["table"]
            line(n, "audit, exact", row["exact"], f"AP differs by {found['ap'] - row['exact']['ap']:+.4f}")
        if options.cleanlab and n <= options.cleanlab_most:
            row["cleanlab"] = datalab(options.cleanlab_python, folder, wrong)
            if row["cleanlab"]:
                line(n, "cleanlab Datalab", row["cleanlab"])
    return row


def main() -> None:
    """Print the table and the exponents; write them where --json says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--compare-exact", action="store_true", help="audit again with neighbors=exact")
    parser.add_argument("--no-cleanlab", dest="cleanlab", action="store_false")
    parser.add_argument("--cleanlab-python", default=sys.executable, help="a Python in which cleanlab is installed")
    parser.add_argument("--cleanlab-most", type=int, default=50_000, help="largest N for cleanlab")
    parser.add_argument("--override", nargs="*", default=[], help="options of the audit, e.g. neighbors.recall=0.99")
    parser.add_argument("--folder", help="where the data are made and removed again; default: the system's")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    options = parser.parse_args()
    machine = {
        "cores": len(os.sched_getaffinity(0)), "platform": platform.platform(), "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in ("numpy", "pandas", "scikit-learn")},
    }  # fmt: skip
    print(f"{machine['cores']} cores, {machine['packages']}, {options.dim} dimensions")
    print("        N  what               seconds computing   own MiB   RSS MiB  AP")
    rows = [measure(options, n) for n in options.n]
    found: dict[str, Any] = {"machine": machine, "dim": options.dim, "rows": rows}
    if len(rows) > 1:
        for what, key in (("time", "seconds"), ("own memory", "own_mib"), ("RSS", "rss_mib")):
            found[f"exponent of {what}"] = exponent(options.n, [row["audit"][key] for row in rows])
            print(f"exponent of {what} in N: {found[f'exponent of {what}']:.2f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
