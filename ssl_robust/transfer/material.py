"""What a probe looks at: features of labelled scans by name, and which of them are fitted to and measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_robust.data.histogram import histogram
from ssl_robust.data.manifest import Manifest
from ssl_robust.encoders.card import Card
from ssl_robust.encoders.ready_vectors import are_vectors, read_vectors
from ssl_robust.noise.corruption import Corruption, noise_labels
from ssl_robust.run import UserError
from ssl_robust.transfer.baselines import random_twin
from ssl_robust.transfer.protocols import Problem, group_codes

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Material:
    """Row i of everything is the same sample.

    Attributes:
        features: name -> (N, D): encoder, and where there are scans, random and histogram.
        problem: what is fitted to and measured.
        manifest: the samples.
        corruption: the noise in the training labels.
        architecture: timm's name of the encoder, None where only vectors are there.
        card: of the encoder, where it has one.
        n_seen: test scans that the encoder was pretrained on, None where that is unknown.
        unreadable: `{"sample_id", "reason"}` of the scans that were left out.
    """

    features: dict[str, np.ndarray]
    problem: Problem
    manifest: Manifest
    corruption: Corruption
    architecture: str | None = None
    card: Card | None = None
    n_seen: int | None = None
    unreadable: list[dict[str, str]] = field(default_factory=list)


def read_material(config: DictConfig) -> Material:
    """The vectors that `data=embeddings` names, or those that `checkpoint` makes of the scans, with the baselines.

    Ready vectors never import torch; there are no baselines beside them, as these are made of scans.

    Args:
        config: composed from `configs/probe.yaml`.

    Raises:
        UserError: the data cannot be read, checkpoint and data do not fit each other, or there is nothing to measure.
    """
    if are_vectors(config.data):
        vectors, manifest = read_vectors(config, unknown_split=None)
        problem, corruption = make_problem(manifest, config.noise, config.seed, vectors)
        return Material({"encoder": vectors}, problem, manifest, corruption)
    if config.checkpoint is None:
        raise UserError(
            "checkpoint= is missing; give a pretrain run's directory, default, none (random weights) or imagenet"
        )
    return _of_scans(config)


def _of_scans(config: DictConfig) -> Material:
    from ssl_robust.encoders.embeddings import embed
    from ssl_robust.encoders.fingerprints import count_seen
    from ssl_robust.encoders.resolve import open_encoder_and_scans

    encoder, scans = open_encoder_and_scans(config)
    problem, corruption = make_problem(scans.manifest, config.noise, config.seed, scans.pixels)
    seen = count_seen(config.checkpoint, scans, problem.test, what="test scans")
    how = {"batch_size": config.batch_size, "device": config.device, "precision": config.precision}
    features = {"encoder": embed(encoder, scans, **how).vectors}
    # checkpoint=none is this very baseline.
    is_random = config.checkpoint == "none"
    twin = None if is_random else random_twin(encoder, scans, seed=config.seed)
    features["random"] = features["encoder"] if twin is None else embed(twin, scans, **how).vectors
    features["histogram"] = histogram(scans.pixels)
    return Material(features, problem, scans.manifest, corruption, encoder.name, encoder.card, seen, scans.unreadable)


def make_problem(
    manifest: Manifest, noise: Mapping[str, Any], seed: int, features: np.ndarray | None = None
) -> tuple[Problem, Corruption]:
    """Labels with noise in the training split, and the truth to measure against.

    Validation scans are neither fitted to nor measured: they are there to choose encoders and settings by.

    Args:
        manifest: the samples.
        noise: the `noise` node of a configuration.
        seed: of the noise.
        features: scans or vectors, for noise that hangs on them.

    Raises:
        UserError: no label, no labelled scan in train or test, one class only, a class of test that train lacks, or a
            patient in both.
    """
    clean, true = manifest.codes(), manifest.codes("true_label")
    truth = np.where(true >= 0, true, clean)
    if not (clean >= 0).any():
        raise UserError(
            f"none of the {len(manifest)} samples has a label, so nothing can be measured; "
            "name the column that holds it with data.columns.label=…"
        )
    train, test = (rows[codes[rows] >= 0] for rows, codes in ((manifest.rows("train"), clean),
                                                               (manifest.rows("test"), truth)))  # fmt: skip
    for name, rows in (("train", train), ("test", test)):
        if len(rows) == 0:
            raise UserError(f"no labelled sample is in the split {name}; a probe is fitted on train and measured on "
                            "test, give both in the column split (or none, to have them made)")  # fmt: skip
    if len(np.unique(clean[train])) < 2:
        raise UserError("the labelled training samples are of one class; a probe needs at least two")
    unseen = np.setdiff1d(truth[test], clean[train])
    if len(unseen):
        raise UserError(f"the class {manifest.classes[unseen[0]]!r} has test samples and no training sample; "
                        "add some, or leave it out of the data")  # fmt: skip
    corruption = noise_labels(manifest, noise, seed, features)
    groups = group_codes(manifest.table["patient_id"], manifest.table["sample_id"])
    try:
        problem = Problem(train, test, corruption.labels, truth, groups, len(manifest.classes))
    except ValueError:
        raise UserError(
            "some patients have samples in train and in test, so that the test would flatter; give each patient one "
            "split, or drop the patients if they are none"
        ) from None
    return problem, corruption
