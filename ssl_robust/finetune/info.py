"""What a strategy may know of its task before training starts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

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
    given, groups = task.given[train], task.manifest.groups()[train]

    @cache
    def believe_once() -> Believed:
        what = "features, batches" if settings["trainer"]["progress"] else None
        vectors = encode_rows(copy.deepcopy(encoder), scans, train, batch_size=256, device=device, what=what)
        return believe(vectors, given, groups, n_classes=task.n_classes, settings=settings, seed=settings["seed"])

    return TrainInfo(
        labels=torch.from_numpy(given),
        groups=torch.from_numpy(groups),
        n_classes=task.n_classes,
        feature_dim=encoder.dim,
        believe=believe_once,
        sample_ids=task.manifest.table["sample_id"].iloc[train].tolist(),
        seed=settings["seed"],
        n_epochs=settings["trainer"]["max_epochs"],
        classes=task.manifest.classes,
    )
