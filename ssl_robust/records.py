"""The few frozen dataclasses that cross rooms.

This file stands at the bottom of the package: it imports nothing of it, and nothing heavy, so that an audit of
ready-made embeddings never pays for torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor


class Batch(NamedTuple):
    """What a training step sees of some scans; a batch never holds a true label.

    A NamedTuple, so that Lightning moves it between devices by itself.

    Attributes:
        images: (B, C, H, W) uint8 or uint16 as stored, or float in [0, 1] after `to_unit`.
        labels: (B,) int64 class codes as given (perhaps wrong), -1 where there is no label.
        indices: (B,) int64 rows of the manifest.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


@dataclass(frozen=True)
class Crop:
    """One kind of view that a method asks for.

    Attributes:
        n: how many views of this kind are made of each scan.
        size: side of the view as a fraction of the scan's side (1.0 = `data.image_size`).
        scale: smallest and largest share of the scan's area that the view shows; None: what the recipe of the views
            says, since it knows how small the sign of a disease may be.
    """

    n: int
    size: float
    scale: tuple[float, float] | None = None

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Crop:
        """`{n: 2, size: 1.0}` of a configuration, perhaps with `scale: [0.1, 0.3]`.

        Raises:
            ValueError: something else.
        """
        try:
            scale = settings.get("scale")
            limits = None if scale is None else (float(scale[0]), float(scale[1]))
            crop = cls(settings["n"], float(settings["size"]), limits)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            crop = None
        fits = crop is not None and isinstance(crop.n, int) and crop.n >= 1 and 0 < crop.size < math.inf
        if crop is None or not fits or (crop.scale and not 0 < crop.scale[0] <= crop.scale[1] <= 1):
            raise ValueError(f"views such as {{n: 2, size: 1.0}}, perhaps with scale: [0.1, 0.3], not {settings}")
        return crop


@dataclass(frozen=True)
class Progress:
    """Where training stands; all randomness and every schedule is a function of it and the seed.

    Attributes:
        step: optimiser steps done so far.
        total_steps: optimiser steps of the whole run.
        epoch: epochs done so far.
        total_epochs: epochs of the whole run.
    """

    step: int
    total_steps: int
    epoch: int
    total_epochs: int

    @property
    def fraction(self) -> float:
        """Share of the training done, in [0, 1]."""
        return self.step / max(1, self.total_steps)


@dataclass(frozen=True)
class Believed:
    """What is believed of N labels as given, without knowing a true one.

    Attributes:
        posterior: (N, K) float32 p(true class | sample, label as given), rows sum to one.
        transition: (K, K) T[true, given], rows sum to one.
        rate: share of the labels that are wrong.
    """

    posterior: np.ndarray
    transition: np.ndarray
    rate: float


@dataclass(frozen=True)
class TrainInfo:
    """What a noise-robust strategy may know before training starts.

    Attributes:
        labels: (N,) int64 codes of the training samples as given (perhaps wrong).
        groups: (N,) int64 patient codes; every sample its own code where patients are unknown.
        n_classes: K.
        feature_dim: D of the encoder's pooled features.
        believe: what the encoder that training starts from makes of the labels, out of fold; seconds when called first,
            then kept. The same whenever a run is resumed.
        sample_ids: (N,) ids of the training samples, as other run directories name them.
        n_epochs: of the run; 0 where it is not known.
        classes: (K,) names in the order of the codes, as other run directories have them.
    """

    labels: Tensor
    groups: Tensor
    n_classes: int
    feature_dim: int
    believe: Callable[[], Believed]
    sample_ids: Sequence[str] = ()
    n_epochs: int = 0
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Embeddings:
    """Vectors and the samples they belong to; row i of both is the same scan.

    Attributes:
        vectors: (N, D) float32, perhaps a read-only memory map.
        samples: N rows with at least `sample_id`; `path`, `label`, `patient_id`, `split`, `true_label` where known.
    """

    vectors: np.ndarray
    samples: pd.DataFrame


@dataclass(frozen=True)
class Neighbors:
    """The k nearest other samples of each sample, nearest first, ties by lower index.

    Attributes:
        indices: (N, k) int64 rows; -1 where fewer than k neighbours exist (groups leave out the own patient).
        similarities: (N, k) float32 cosine similarities; -inf where the index is -1.
    """

    indices: np.ndarray
    similarities: np.ndarray
