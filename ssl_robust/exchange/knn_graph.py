"""The neighbours that an audit kept -> the sparse matrix that cleanlab's Datalab takes as `knn_graph`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, save_npz

from ssl_robust.exchange.audited import Audited
from ssl_robust.files import UserError
from ssl_robust.neighbors.saved import read_saved
from ssl_robust.records import Neighbors


def write_knn_graph(path: Path, audited: Audited, ids: np.ndarray) -> None:
    """Write an (N, N) CSR matrix: in each row the distances to as many neighbours, nearest first.

    Args:
        path: the .npz.
        audited: an audit made with neighbors.save=true.
        ids: (N,) samples in the order of the rows, all that were audited.

    Raises:
        UserError: it kept no neighbours, or some of its samples are not among `ids`.
    """
    found = read_saved(audited.place)
    if found is None:
        raise UserError(
            f"audit={audited.place} kept no neighbours for knn_graph.npz; audit again with neighbors.save=true, or "
            "leave the graph out with to.graph=false"
        )
    ranked = audited.table.index[audited.table["rank"].notna().to_numpy()]
    if len(found.indices) != len(ranked):
        raise UserError(f"audit={audited.place} is damaged: its neighbours and its table do not fit; audit again")
    places = pd.Index(ids, dtype=object).get_indexer(pd.Index(ranked, dtype=object))
    if lacking := int((places < 0).sum()):
        raise UserError(
            f"{lacking:,} of the {len(ranked):,} audited scans are not exported, and knn_graph.npz is of all of them; "
            "export all, or leave the graph out with to.graph=false"
        )
    save_npz(path, as_matrix(found, places))


def as_matrix(neighbors: Neighbors, places: np.ndarray) -> csr_matrix:
    """Neighbours -> distances, 1 - cosine similarity; a distance of zero is stored as any other.

    Datalab counts on as many neighbours in each row, so that all rows have as many as the one with the fewest.

    Args:
        neighbors: (N, k) of N samples.
        places: (N,) the row of each sample in the matrix, a permutation.

    Raises:
        UserError: a sample has no neighbour.
    """
    n, k = len(places), int((neighbors.indices >= 0).sum(axis=1).min())
    if k == 0:
        raise UserError("a scan has no neighbour of another patient, which Datalab cannot take; leave the graph out "
                        "with to.graph=false")  # fmt: skip
    back = np.empty(n, dtype=np.int64)
    back[places] = np.arange(n)
    indices = places[neighbors.indices[back, :k]].astype(np.int32)
    distances = (1 - neighbors.similarities[back, :k].astype(np.float64)).clip(0).round(6).astype(np.float32)
    return csr_matrix((distances.reshape(-1), indices.reshape(-1), np.arange(0, n * k + 1, k)), shape=(n, n))
