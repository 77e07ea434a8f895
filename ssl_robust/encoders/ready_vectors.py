"""`data=embeddings` of a configuration -> vectors and the manifest of their samples, without torch."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ssl_robust.data.columns import read_table
from ssl_robust.data.found import say_found
from ssl_robust.data.labels import without_spelled
from ssl_robust.data.manifest import Manifest, build_manifest
from ssl_robust.data.sources import ArraySource
from ssl_robust.data.votes import Votes, from_columns, pick_votes
from ssl_robust.encoders.embedding_files import read_embeddings
from ssl_robust.files import existing
from ssl_robust.run import UserError
from ssl_robust.settings import defaults

if TYPE_CHECKING:
    from omegaconf import DictConfig

_CHUNK = 65_536  # rows hashed together


def are_vectors(data: DictConfig) -> bool:
    """Whether `data` is ready vectors rather than scans."""
    return str(data._target_).endswith(".read_embeddings")


def read_vectors(config: DictConfig, *, unknown_split: str | None) -> tuple[np.ndarray, Manifest]:
    """(N, D) float32 vectors and their samples; a line on the screen says what was found.

    Args:
        config: holds `data`, of which `are_vectors` is true, and `checkpoint`.
        unknown_split: the split of samples that have none; None: such a sample is a mistake.

    Raises:
        UserError: an encoder is named as well, a file cannot be read, its table does not fit, or a split is missing.
    """
    data = config.data
    if config.checkpoint is not None:
        raise UserError("data=embeddings holds vectors already; leave checkpoint= out, or give the scans as data=")
    emb = read_embeddings(data.path, data.labels, columns=data.columns)
    where, samples = str(data.labels or data.path), emb.samples
    if unknown_split is not None:
        samples = samples.assign(split=samples["split"].fillna(unknown_split))
    elif samples["split"].isna().to_numpy().all():
        raise UserError(f"{where} names no split; add a column with train and test, or name it: data.columns.split=…")
    source = ArraySource(np.empty((len(samples), 0, 0), np.uint8), vectors_fingerprint(emb.vectors))
    columns = {str(name): column for name, column in samples.items()}
    if data.labels is None:  # the table of an embed run has been through this
        votes = _kept(samples, data.consensus)
    else:
        columns = without_spelled(columns, None, where)
        table = read_table(existing(data.labels, "data.labels"))
        votes = pick_votes(table, data.columns, data.consensus, classes=None, where=where)
    manifest = build_manifest(columns, source, classes=None, fractions={}, split_seed=0, where=where, votes=votes)
    say_found(manifest, f"vectors of {emb.vectors.shape[1]} numbers", splits=unknown_split is None)
    return emb.vectors, manifest


def _kept(samples: pd.DataFrame, consensus: str) -> Votes | None:
    """The votes that an embed run has saved beside the labels it made of them."""
    found = from_columns(samples)
    if found is None:
        return None
    if consensus != defaults("data", "embeddings")["consensus"]:
        print("Note: data.consensus changes nothing, as the labels of an embed run are made already; embed again "
              "with it", file=sys.stderr)  # fmt: skip
    return Votes(found, rule=None, typed=False)


def vectors_fingerprint(vectors: np.ndarray) -> str:
    """A hash of all numbers, which are read block by block."""
    found = hashlib.blake2b(digest_size=16)
    for start in range(0, len(vectors), _CHUNK):
        found.update(np.ascontiguousarray(vectors[start : start + _CHUNK]).data)
    return found.hexdigest()
