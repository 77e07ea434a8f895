"""Scans per second of a whole `embed()`, against what its encoder alone would do with ready tensors.

    python benchmarks/embed_throughput.py                                  # three encoders, 64 px, colour
    python benchmarks/embed_throughput.py --encoder resnet18 --size 224 --n 2048 --batch-size 64
    python benchmarks/embed_throughput.py --encoder resnet18 --batch-size 32 128 512

Ours reads a decoded cache through its memory map, normalises, computes, checks and writes shards and `embeddings.npy`.
The encoder alone is the timm model on normalised float batches that lie in memory already. Both take the same batch
size, precision, memory format and threads, in evaluation and inference mode, in one process; rounds alternate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl_robust.data.scanset import ScanSet, open_scans
from ssl_robust.encoders.embeddings import embed
from ssl_robust.encoders.encoder import Encoder, create_encoder
from ssl_robust.settings import compose
from ssl_robust.training.device import pick_device, pick_precision
from ssl_robust.training.processor import prepare_processor

READY = 4  # batches that the encoder alone gets in turn


def make_scans(folder: Path, n: int, size: int) -> ScanSet:
    """Grain, decoded into a cache: what a scan shows does not change the time."""
    images = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    np.savez(folder / "scans.npz", train_images=images, train_labels=np.zeros((n, 1), np.int64))
    data = ["data=npz", f"data.path={folder}/scans.npz", f"data.cache_dir={folder}/cache", f"data.image_size={size}"]
    return open_scans(compose("embed", [*data, "checkpoint=none"]).data)


def ours(encoder: Encoder, scans: ScanSet, batch_size: int, out: Path) -> float:
    """Seconds."""
    started = time.perf_counter()
    embed(encoder, scans, batch_size=batch_size, out=out)
    return time.perf_counter() - started


@torch.inference_mode()
def encoder_alone(encoder: Encoder, ready: list[torch.Tensor], n_batches: int) -> float:
    """Seconds."""
    device = ready[0].device
    kind = pick_precision("auto", device)
    encoder.eval()
    started = time.perf_counter()
    for number in range(n_batches):
        with torch.autocast(device.type, dtype=kind or torch.bfloat16, enabled=kind is not None):
            encoder.timm(ready[number % len(ready)])
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def compare(name: str, scans: ScanSet, batch_size: int, rounds: int, folder: Path) -> dict[str, Any]:
    """A line of the table."""
    device = pick_device("auto")
    torch.manual_seed(0)
    encoder = create_encoder(name, in_chans=3, input_size=scans.image_size, mean=[0.5] * 3, std=[0.29] * 3)
    encoder.to(device)
    n_batches = len(scans) // batch_size
    shape = (batch_size, 3, scans.image_size, scans.image_size)
    ready = [torch.randn(shape, device=device).to(memory_format=torch.channels_last) for _ in range(READY)]
    seconds: dict[str, list[float]] = {"ours": [], "encoder": []}
    for number in range(rounds + 1):
        pair = {
            "ours": ours(encoder, scans, batch_size, folder / f"{name}-{batch_size}-{number}"),
            "encoder": encoder_alone(encoder, ready, n_batches),
        }
        for side in seconds if number else ():  # the first round warms up
            seconds[side].append(pair[side])
    n = n_batches * batch_size
    rates = {side: [n / each for each in values] for side, values in seconds.items()}
    ratios = [mine / alone for mine, alone in zip(rates["ours"], rates["encoder"], strict=True)]
    about = {"encoder": name, "size": scans.image_size, "batch_size": batch_size, "n": n}
    return {**about, "rates": rates, "ratios": ratios}


def main() -> None:
    """Print a line per encoder and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", nargs="+", default=["resnet10t", "resnet18", "regnetx_002"])
    parser.add_argument("--size", type=int, default=64, help="side of the scans in pixels")
    parser.add_argument("--n", type=int, default=8192, help="scans; rounded down to whole batches")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, nargs="+", default=[compose("embed", ["data=npz"]).batch_size])
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args()
    prepare_processor()
    results = []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, {pick_device('auto')}, "
          f"{pick_precision('auto', pick_device('auto')) or torch.float32}, torch {torch.__version__}")  # fmt: skip
    for batch_size in options.batch_size:
        with tempfile.TemporaryDirectory() as name:
            scans = make_scans(Path(name), options.n // batch_size * batch_size, options.size)
            for encoder in options.encoder:
                results.append(compare(encoder, scans, batch_size, options.rounds, Path(name)))
                show(results[-1])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def show(result: dict[str, Any]) -> None:
    """One line."""
    rate = {side: statistics.median(values) for side, values in result["rates"].items()}
    ratios = result["ratios"]
    print(f"{result['encoder']:12} {result['size']} px, batches of {result['batch_size']:4}   "
          f"encoder {rate['encoder']:8.1f} scans/s   ours {rate['ours']:8.1f}   "
          f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
