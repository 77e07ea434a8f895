"""Time and peak memory of the whole process `ssl-robust audit data=embeddings`, imports and report included.

    python benchmarks/audit_speed.py
    python benchmarks/audit_speed.py --n 10000 --dim 384 --classes 8 --groups 10

Vectors are class centres plus noise, 2 % of the labels are wrong. The limit to hold: 50,000 x 384 within 30 s and 1 GiB
on two cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd


def write_data(folder: Path, n: int, dim: int, n_classes: int, group_size: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, n_classes, n)
    centers = rng.normal(size=(n_classes, dim)).astype(np.float32)
    np.save(folder / "vectors.npy", centers[truth] + 2 * rng.normal(size=(n, dim)).astype(np.float32))
    given = np.where(rng.random(n) < 0.02, (truth + 1) % n_classes, truth)
    table = pd.DataFrame({"label": [f"class {code}" for code in given]})
    if group_size > 1:
        table["patient_id"] = [f"patient {row // group_size}" for row in range(n)]
    table.to_csv(folder / "labels.csv", index=False)


def measure(folder: Path) -> tuple[float, float, float]:
    """Seconds on the clock, seconds of computing on all cores together, and peak MiB of the process."""
    data = ["data=embeddings", f"data.path={folder}/vectors.npy", f"data.labels={folder}/labels.csv"]
    command = [sys.executable, "-m", "ssl_robust.cli", "audit", *data, f"out={folder}/audit"]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the audit ended with status {status}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--groups", type=int, default=1, help="samples per patient; 1 = no patients")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder, options.n, options.dim, options.classes, options.groups)
        seconds, computing, memory = measure(folder)
    what = f"{options.n:,} x {options.dim}, {options.classes} classes, {options.groups} per patient"
    time_used = f"{seconds:.1f} s ({computing:.1f} s of computing)"
    print(f"{what}, {len(os.sched_getaffinity(0))} cores: {time_used}, peak {memory:.0f} MiB")


if __name__ == "__main__":
    main()
