"""What a strategy may know of its task before training starts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.embeddings import encode_rows
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.finetune.task import Task
from ssl_robust.noise.believed import believe
from ssl_robust.records import Believed, TrainInfo


def train_info(
    task: Task, encoder: Encoder, scans: ScanSet, settings: Mapping[str, Any], device: torch.device
) -> TrainInfo:
    """The training split as a strategy sees it; what is believed of its labels is found when it asks.

    Args:
        task: the labels.
        encoder: that training starts from; a copy of it computes the features.
        scans: the scans.
        settings: of the stage: `probe`, `noise_model`, `trainer` and `seed` are read.
        device: where to compute.
    """
    train = task.train
    given, groups = _given_and_groups(task)

    @cache
    def believe_once() -> Believed:
        what = "features, batches" if settings["trainer"]["progress"] else None
        vectors = encode_rows(copy.deepcopy(encoder), scans, train, batch_size=256, device=device, what=what)
        return believe(vectors, given, groups, n_classes=task.n_classes, settings=settings, seed=settings["seed"])

    return info_of(task, feature_dim=encoder.dim, believe=believe_once, seed=settings["seed"],
                   n_epochs=settings["trainer"]["max_epochs"])  # fmt: skip


def info_of(task: Task, *, feature_dim: int, believe: Callable[[], Believed], seed: int, n_epochs: int) -> TrainInfo:
    """The training split as a strategy sees it.

    Args:
        task: the labels.
        feature_dim: D.
        believe: what is believed of the training labels, found when it is asked.
        seed: of the run.
        n_epochs: of the run.
    """
    given, groups = _given_and_groups(task)
    return TrainInfo(
        labels=torch.from_numpy(given),
        groups=torch.from_numpy(groups),
        n_classes=task.n_classes,
        feature_dim=feature_dim,
        believe=believe,
        sample_ids=task.manifest.table["sample_id"].iloc[task.train].tolist(),
        seed=seed,
        n_epochs=n_epochs,
        classes=task.manifest.classes,
    )


def believe_features(task: Task, vectors: np.ndarray, settings: Mapping[str, Any]) -> Believed:
    """Features of all rows -> what is believed of the training labels.

    Args:
        task: the labels.
        vectors: (N, D) of every row of the manifest.
        settings: of the stage: `probe`, `noise_model` and `seed` are read.
    """
    given, groups = _given_and_groups(task)
    return believe(
        vectors[task.train], given, groups, n_classes=task.n_classes, settings=settings, seed=settings["seed"]
    )


def _given_and_groups(task: Task) -> tuple[np.ndarray, np.ndarray]:
    return task.given[task.train], task.manifest.groups()[task.train]
