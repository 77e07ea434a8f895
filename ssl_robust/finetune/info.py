"""What a strategy may know of its task before training starts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ssl_robust.data.scanset import ScanSet
from ssl_robust.encoders.embeddings import encode_rows
from ssl_robust.encoders.encoder import Encoder
from ssl_robust.finetune.task import Task
from ssl_robust.noise.believed import believe
from ssl_robust.records import Believed, TrainInfo


def info_of(task: Task, settings: Mapping[str, Any], *, feature_dim: int, believe: Callable[[], Believed]) -> TrainInfo:
    """The training split as a strategy sees it.

    Args:
        task: the labels.
        settings: of the stage: `trainer.max_epochs` is read.
        feature_dim: D.
        believe: what is believed of the training labels, found when it is asked.
    """
    given, groups = _given_and_groups(task)
    return TrainInfo(
        labels=torch.from_numpy(given),
        groups=torch.from_numpy(groups),
        n_classes=task.n_classes,
        feature_dim=feature_dim,
        believe=believe,
        sample_ids=task.manifest.table["sample_id"].iloc[task.train].tolist(),
        n_epochs=settings["trainer"]["max_epochs"],
        classes=task.manifest.classes,
    )


def train_features(
    task: Task, encoder: Encoder, scans: ScanSet, settings: Mapping[str, Any], device: torch.device
) -> np.ndarray:
    """(n_train, D) features of the training scans, by a copy of the encoder that training starts from.

    Args:
        task: the labels.
        encoder: of the run.
        scans: the scans.
        settings: of the stage: `trainer.progress` is read.
        device: where to compute.
    """
    what = "features, batches" if settings["trainer"]["progress"] else None
    return encode_rows(copy.deepcopy(encoder), scans, task.train, batch_size=256, device=device, what=what)


def believe_features(task: Task, vectors: np.ndarray, settings: Mapping[str, Any]) -> Believed:
    """What features of the training scans make of their labels.

    Args:
        task: the labels.
        vectors: (n_train, D).
        settings: of the stage: `probe`, `noise_model` and `seed` are read.
    """
    given, groups = _given_and_groups(task)
    return believe(vectors, given, groups, n_classes=task.n_classes, settings=settings, seed=settings["seed"])


def _given_and_groups(task: Task) -> tuple[np.ndarray, np.ndarray]:
    return task.given[task.train], task.manifest.groups()[task.train]
