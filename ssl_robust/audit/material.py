"""What an audit looks at: vectors, the table of samples, and their pixels where there are any."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ssl_robust.audit.against import check_fits
from ssl_robust.audit.reference_run import Reference, encoder_of
from ssl_robust.data.manifest import Manifest, complete
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
        encoder: its fingerprint, where it is known.
    """

    vectors: np.ndarray
    manifest: Manifest
    pixels: np.ndarray | None
    unreadable: list[dict[str, str]] = field(default_factory=list)
    card: Card | None = None
    encoder: str | None = None


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


def read_material(config: DictConfig, reference: Reference | None = None) -> Material:
    """The vectors that `data=embeddings` names, or those that `checkpoint` makes of the scans in `data`.

    Ready vectors never import torch.

    Args:
        config: composed from `configs/audit.yaml`.
        reference: what the new scans are to be audited against; it is asked whether it can before they are embedded.

    Raises:
        UserError: the data cannot be read, or checkpoint, data and reference do not fit each other.
    """
    if are_vectors(config.data):
        # Samples of no known split count as training samples, so that noise reaches them.
        vectors, manifest = read_vectors(config, unknown_split="train")
        check_labels(manifest, fewest=2 if reference is None else 1)
        encoder = encoder_of(complete(config.data))
        if reference is not None:
            check_fits(reference, dim=vectors.shape[1], encoder=encoder, manifest=manifest)
        return Material(vectors, manifest, None, encoder=encoder)
    from ssl_robust.encoders.embeddings import embed
    from ssl_robust.encoders.fingerprints import encoder_fingerprint
    from ssl_robust.encoders.resolve import open_encoder_and_scans

    encoder, scans = open_encoder_and_scans(config)
    check_labels(scans.manifest, fewest=2 if reference is None else 1)
    made_by = encoder_fingerprint(encoder)
    if reference is not None:
        check_fits(reference, dim=encoder.dim, encoder=made_by, manifest=scans.manifest)
    emb = embed(encoder, scans, batch_size=config.batch_size, device=config.device, precision=config.precision)
    return Material(emb.vectors, scans.manifest, scans.pixels, scans.unreadable, encoder.card, made_by)


def check_labels(manifest: Manifest, *, fewest: int = 2) -> None:
    """Say what is wrong with the labels before anything is computed.

    Args:
        manifest: the samples.
        fewest: classes that must be there; one is enough where those of another audit vote.

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
    if len(known) < fewest:
        raise UserError(
            f"all {(codes >= 0).sum()} labels are of one class ({manifest.classes[known[0]]}); "
            "an audit compares classes, give samples of at least two"
        )
