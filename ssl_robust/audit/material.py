"""What an audit looks at: vectors, the table of samples, and their pixels where there are any."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ssl_robust.data.manifest import Manifest
from ssl_robust.encoders.card import Card
from ssl_robust.encoders.places import DEFAULT, default_checkpoint
from ssl_robust.encoders.ready_vectors import are_vectors, read_vectors
from ssl_robust.run import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Material:
    """Row i of everything is the same sample.

    Attributes:
        vectors: (N, D) float32.
        manifest: the samples.
        pixels: (N, S, S, C) uint8 or uint16, None where only vectors are there.
        unreadable: `{"sample_id", "reason"}` of the scans that were left out.
        card: of the encoder that made the vectors, where it has one.
    """

    vectors: np.ndarray
    manifest: Manifest
    pixels: np.ndarray | None
    unreadable: list[dict[str, str]] = field(default_factory=list)
    card: Card | None = None


def chosen_checkpoint(config: DictConfig) -> str | None:
    """`checkpoint`, the shipped encoder where scans come without one; None for ready vectors.

    Raises:
        UserError: none was given and none ships.
    """
    if config.checkpoint is not None or are_vectors(config.data):
        return config.checkpoint
    if default_checkpoint() is None:
        raise UserError("checkpoint= is missing; give a pretrain run's directory, none (random weights) or imagenet")
    return DEFAULT


def read_material(config: DictConfig) -> Material:
    """The vectors that `data=embeddings` names, or those that `checkpoint` makes of the scans in `data`.

    Ready vectors never import torch.

    Args:
        config: composed from `configs/audit.yaml`.

    Raises:
        UserError: the data cannot be read, or checkpoint and data do not fit each other.
    """
    if are_vectors(config.data):
        # Samples of no known split count as training samples, so that noise reaches them.
        vectors, manifest = read_vectors(config, unknown_split="train")
        check_labels(manifest)
        return Material(vectors, manifest, None)
    from ssl_robust.encoders.embeddings import embed
    from ssl_robust.encoders.resolve import open_encoder_and_scans

    encoder, scans = open_encoder_and_scans(config)
    check_labels(scans.manifest)
    emb = embed(encoder, scans, batch_size=config.batch_size, device=config.device, precision=config.precision)
    return Material(emb.vectors, scans.manifest, scans.pixels, scans.unreadable, encoder.card)


def check_labels(manifest: Manifest) -> None:
    """Say what is wrong with the labels before anything is computed.

    Raises:
        UserError: there are no labels, or those of one class only.
    """
    codes = manifest.codes()
    known = np.unique(codes[codes >= 0])
    if len(known) == 0:
        raise UserError(
            f"none of the {len(manifest)} samples has a label, so there is nothing to audit; "
            "give a table that holds them (data=csv data.path=labels.csv; data.columns.label=… names another column), "
            "or put the scans into one folder a class"
        )
    if len(known) == 1:
        raise UserError(
            f"all {(codes >= 0).sum()} labels are of one class ({manifest.classes[known[0]]}); "
            "an audit compares classes, give samples of at least two"
        )
