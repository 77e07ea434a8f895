"""Ways to find the 50 nearest neighbours of every vector: seconds and recall.

    python benchmarks/neighbor_search.py --n 50000

The same embeddings as in audit_scale.py, centred and of length one, patients ignored. FAISS's own indexes search every
vector by itself (the settings are the cheapest tried that reach the recall of ours); `cells` is what the audit does.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from audit_scale import write_data

from ssl_robust import neighbors
from ssl_robust.neighbors.exact import search_rows
from ssl_robust.neighbors.unit import UnitRows
from ssl_robust.settings import defaults

_K, _QUERIES = 50, 1000


def cells(vectors: np.ndarray) -> np.ndarray:
    settings = {**defaults("neighbors", "auto"), "index": "ivf"}
    found = neighbors.build_graph(vectors, k=_K, center=False, seed=0, settings=settings)
    return found.neighbors.indices


def flat(vectors: np.ndarray) -> np.ndarray:
    return faiss.knn(vectors, vectors, _K + 1, metric=faiss.METRIC_INNER_PRODUCT)[1]


def inverted(vectors: np.ndarray, n_probed: int, storage: str) -> np.ndarray:
    n_lists = round(4 * len(vectors) ** 0.5)
    index = faiss.index_factory(vectors.shape[1], f"IVF{n_lists},{storage}", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[np.random.default_rng(0).choice(len(vectors), min(len(vectors), 64 * n_lists), replace=False)])
    index.add(vectors)
    index.nprobe = n_probed
    return index.search(vectors, _K + 1)[1]


def graph(vectors: np.ndarray, effort: int) -> np.ndarray:
    index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 100
    index.add(vectors)
    index.hnsw.efSearch = effort
    return index.search(vectors, _K + 1)[1]


def recall(found: np.ndarray, truth: np.ndarray, rows: np.ndarray, k: int) -> float:
    hits = [len({*found[row].tolist()} & {*line[:k].tolist()}) / k for row, line in zip(rows, truth, strict=True)]
    return float(np.mean(hits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write_data(Path(name), options.n, options.dim)
        unit = UnitRows(np.load(Path(name) / "vectors.npy"), center=True)
    vectors = unit.take(slice(None))
    rows = np.sort(np.random.default_rng(1).choice(options.n, _QUERIES, replace=False))
    truth = search_rows(unit, rows, np.arange(options.n), np.arange(options.n), _K).indices
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "cells (this project)": cells,
        "flat, exact": flat,
        "IVF, float32, 48 lists": lambda each: inverted(each, 48, "Flat"),
        "IVF, 8 bits, 48 lists": lambda each: inverted(each, 48, "SQ8"),
        "HNSW 32, effort 100": lambda each: graph(each, 100),
    }
    print(f"{options.n:,} x {options.dim}, {len(os.sched_getaffinity(0))} cores, faiss {faiss.__version__}")
    print(f"{'way':<24} seconds  recall@10  recall@{_K}")
    for what, way in ways.items():
        started = time.monotonic()
        found = way(vectors)
        seconds = time.monotonic() - started
        at_10, at_k = (recall(found[:, : k + 1], truth, rows, k) for k in (10, _K))
        print(f"{what:<24} {seconds:7.1f}  {at_10:9.3f}  {at_k:9.3f}", flush=True)


if __name__ == "__main__":
    main()
