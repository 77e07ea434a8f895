"""How good is the encoder right now? Nearest neighbours and effective rank on scans that it does not learn from.

A falling loss does not tell which checkpoint is the good one, nor whether the features have collapsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from lightning.fabric import Fabric

from ssl_robust import metrics
from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.embeddings import encode_rows
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.probes import knn_predict
from ssl_robust.training.world import gather_rows, together

# Below these a linear probe has next to nothing left to separate: all scans lie on one point or one line.
_COLLAPSED_SPREAD = 0.01
_COLLAPSED_RANK = 1.5
_ROWS_OF_AUTO = 25


@dataclass(frozen=True)
class Monitor:
    """A fixed choice of scans, embedded again at every look.

    Attributes:
        scans: where the pixels are.
        reference: rows of labelled training scans that vote; empty where kNN cannot be told.
        queries: rows of the scans that are looked at.
        batch_size: scans per forward pass.
        k: voters.
        temperature: a vote weighs exp(similarity / temperature).
    """

    scans: ScanSet
    reference: np.ndarray
    queries: np.ndarray
    batch_size: int
    k: int
    temperature: float

    def __call__(self, encoder: Encoder, fabric: Fabric) -> dict[str, float]:
        """Measures of the encoder as it is; the processes share the embedding, and the first one answers.

        Returns:
            `effective_rank` (RankMe, arXiv 2210.02885), `feature_spread` (1 = isotropic, 0 = a single point) and
            `collapsed` (1 = yes); `knn_balanced_accuracy` where both training and validation scans have labels.
        """
        vectors, reference = (self._embed(encoder, rows, fabric) for rows in (self.queries, self.reference))
        if not fabric.is_global_zero:
            return {}
        rank, spread = metrics.effective_rank(vectors), metrics.feature_spread(vectors)
        collapsed = spread < _COLLAPSED_SPREAD or rank < _COLLAPSED_RANK
        values = {"effective_rank": rank, "feature_spread": spread, "collapsed": int(collapsed)}
        return self._vote(reference, vectors) | values

    def _embed(self, encoder: Encoder, rows: np.ndarray, fabric: Fabric) -> np.ndarray:
        mine = np.array_split(rows, fabric.world_size)[fabric.global_rank]
        share = max(1, self.batch_size // fabric.world_size)
        make = partial(encode_rows, encoder, self.scans, mine, batch_size=share, device=fabric.device)
        return gather_rows(fabric, together(fabric, make))

    def _vote(self, reference: np.ndarray, vectors: np.ndarray) -> dict[str, float]:
        codes, n_classes = self.scans.manifest.codes(), len(self.scans.manifest.classes)
        labelled = codes[self.queries] >= 0
        if len(reference) == 0 or not labelled.any():
            return {}
        chances = knn_predict(
            reference,
            codes[self.reference],
            vectors[labelled],
            k=self.k,
            n_classes=n_classes,
            temperature=self.temperature,
        )
        recalls = metrics.class_recalls(codes[self.queries][labelled], chances.argmax(axis=1), n_classes=n_classes)
        return {"knn_balanced_accuracy": float(np.nanmean(recalls))}


def make_monitor(scans: ScanSet, settings: Mapping[str, Any], *, batch_size: int, seed: int) -> Monitor:
    """Choose the scans of a `Monitor`, always the same for one seed.

    Args:
        scans: the whole set.
        settings: the `monitor` node of the configuration.
        batch_size: scans per forward pass.
        seed: of the choice.
    """
    manifest = scans.manifest
    train, val = manifest.rows("train"), manifest.rows("val")
    if len(train) == 0:
        train = manifest.rows("all")
    labelled = train[manifest.codes()[train] >= 0]
    return Monitor(
        scans,
        _some(labelled if len(val) else labelled[:0], settings["reference"], seed),
        _some(val if len(val) else train, settings["queries"], seed),
        batch_size,
        settings["k"],
        settings["temperature"],
    )


def is_due(epoch: int, n_epochs: int, every: int | str) -> bool:
    """Whether to look after `epoch` epochs: at the start, at the end, and every so many epochs between."""
    step = max(1, n_epochs // _ROWS_OF_AUTO) if every == "auto" else int(every)
    return epoch % step == 0 or epoch == n_epochs


def _some(rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """At most n of the rows, in order."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:n])
