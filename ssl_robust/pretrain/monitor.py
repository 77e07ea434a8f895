"""How good is the encoder right now? Nearest neighbours and spectra on scans that it does not learn from.

A falling loss does not tell which checkpoint is the good one, nor whether the features have collapsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from lightning.fabric import Fabric

from ssl_robust import metrics, spectra
from ssl_robust.data.scanset import ScanSet
from ssl_robust.data.views import Views
from ssl_robust.encoders.embeddings import encode_rows, encode_views
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.probes import knn_predict
from ssl_robust.records import Crop
from ssl_robust.training.world import gather_rows, together

# Below these a linear probe has next to nothing left to separate: all scans lie on one point or one line.
_COLLAPSED_SPREAD = 0.01
_COLLAPSED_RANK = 1.5
_FEWEST = 8  # of fewer scans even good features span next to nothing
_ROWS_OF_AUTO = 25


@dataclass(frozen=True)
class Monitor:
    """A fixed choice of scans, embedded again at every look.

    Attributes:
        scans: where the pixels are.
        reference: rows of labelled training scans that vote; empty where kNN cannot be told.
        queries: rows of the scans that are looked at.
        twins: rows of the scans of which several views are looked at.
        views: makes these views.
        seed: of these views, the same at every look.
        batch_size: scans per forward pass.
        k: voters.
        temperature: a vote weighs exp(similarity / temperature).
    """

    scans: ScanSet
    reference: np.ndarray
    queries: np.ndarray
    twins: np.ndarray
    views: Views
    seed: int
    batch_size: int
    k: int
    temperature: float

    def __call__(self, encoder: Encoder, fabric: Fabric) -> dict[str, float]:
        """Measures of the encoder as it is; the processes share the embedding, and the first one answers.

        Returns:
            `effective_rank` (RankMe, arXiv 2210.02885), `lidar` (arXiv 2312.04000), `spectral_decay` (alpha-ReQ),
            `feature_spread` (1 = isotropic, 0 = a single point) and `collapsed` (1 = yes, 0 also where
            scans are too few to tell); `knn_balanced_accuracy` against the labels as given, where both training and
            validation scans have them.
        """
        vectors, reference = (
            self._embed(encode_rows, encoder, rows, fabric) for rows in (self.queries, self.reference)
        )
        twins = self._embed(partial(encode_views, views=self.views, seed=self.seed), encoder, self.twins, fabric)
        if not fabric.is_global_zero:
            return {}
        rank, spread = spectra.effective_rank(vectors), spectra.feature_spread(vectors)
        # A mean that all scans share lowers RankMe, yet a probe does not mind it: masked autoencoders have a large one.
        own_rank = spectra.effective_rank(vectors - vectors.mean(axis=0))
        collapsed = len(vectors) >= _FEWEST and (spread < _COLLAPSED_SPREAD or own_rank < _COLLAPSED_RANK)
        values = {"effective_rank": rank, "lidar": spectra.lidar(twins),
                  "spectral_decay": spectra.spectral_decay(vectors)}  # fmt: skip
        return self._vote(reference, vectors) | values | {"feature_spread": spread, "collapsed": int(collapsed)}

    def _embed(self, make: Callable[..., np.ndarray], encoder: Encoder, rows: np.ndarray, fabric: Fabric) -> np.ndarray:
        mine = np.array_split(rows, fabric.world_size)[fabric.global_rank]
        share = max(1, self.batch_size // fabric.world_size)
        work = partial(make, encoder, self.scans, mine, batch_size=share, device=fabric.device)
        return gather_rows(fabric, together(fabric, work))

    @property
    def can_vote(self) -> bool:
        """Whether there are labels in train and val, so that kNN can be told."""
        return len(self.reference) > 0 and bool((self.scans.manifest.codes()[self.queries] >= 0).any())

    def _vote(self, reference: np.ndarray, vectors: np.ndarray) -> dict[str, float]:
        if not self.can_vote:
            return {}
        codes, n_classes = self.scans.manifest.codes(), len(self.scans.manifest.classes)
        labelled = codes[self.queries] >= 0
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


def make_monitor(
    scans: ScanSet, settings: Mapping[str, Any], recipe: Mapping[str, Any], *, batch_size: int, seed: int
) -> Monitor:
    """Choose the scans of a `Monitor`, always the same for one seed.

    Args:
        scans: the whole set.
        settings: the `monitor` node of the configuration.
        recipe: the `views` node; LiDAR looks at such views, whatever crops the method learns from.
        batch_size: scans per forward pass.
        seed: of the choice.
    """
    manifest = scans.manifest
    train, val = manifest.rows("train"), manifest.rows("val")
    if len(train) == 0:
        train = manifest.rows("all")
    labelled = train[manifest.codes()[train] >= 0]
    unseen = val if len(val) else train
    twins, whole = settings["lidar"], Crop(settings["lidar"]["views"], 1.0)
    return Monitor(
        scans,
        reference=_some(labelled if len(val) else labelled[:0], settings["reference"], seed),
        queries=_some(unseen, settings["queries"], seed),
        twins=_some(unseen, twins["scans"], seed),
        views=Views(crops=[whole], image_size=scans.image_size, channels=scans.channels, **recipe),
        seed=seed,
        batch_size=batch_size,
        k=settings["k"],
        temperature=settings["temperature"],
    )


def is_due(epoch: int, n_epochs: int, every: int | str) -> bool:
    """Whether to look after `epoch` epochs: at the start, at the end, and every so many epochs between."""
    step = max(1, n_epochs // _ROWS_OF_AUTO) if every == "auto" else int(every)
    return epoch % step == 0 or epoch == n_epochs


def _some(rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """At most n of the rows, in order."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:n])
