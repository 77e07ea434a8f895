"""What a campaign is about: the labelled scans of a finished audit, with what is read again only if it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.audit.duplicates import merged_groups
from ssl_robust.data.audit_table import find_audit_table, read_audit_table
from ssl_robust.data.columns import read_table
from ssl_robust.data.manifest import Manifest, complete, load_manifest
from ssl_robust.duplicates import Clusters
from ssl_robust.encoders.embedding_files import VECTORS
from ssl_robust.run import UserError, read_json, read_run


@dataclass(frozen=True)
class Subject:
    """Row i of everything is the same scan, one of N that have a label.

    Attributes:
        audit: the audit's directory.
        config: its configuration, with which scans and vectors are read again.
        classes: names; their positions are the codes.
        ids: (N,) sample ids.
        labels: (N,) ints in [0, K), as audited.
        suggested: (N,) names.
        p_mislabeled: (N,), the score where a class could not be judged.
        neighbors: N lists of ids.
        clusters: (N,) scans that show one picture share a number from 0, -1 = none.
    """

    audit: Path
    config: dict[str, Any] = field(repr=False)
    classes: tuple[str, ...]
    ids: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    suggested: np.ndarray = field(repr=False)
    p_mislabeled: np.ndarray = field(repr=False)
    neighbors: list[list[str]] = field(repr=False)
    clusters: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _read(self) -> tuple[np.ndarray | None, Manifest]:
        """Vectors, where they need no encoder, and all scans."""
        from omegaconf import OmegaConf

        from ssl_robust.encoders.ready_vectors import are_vectors, read_vectors

        config = OmegaConf.create({**self.config, "data": complete(self.config["data"])})
        if are_vectors(config.data):
            return read_vectors(config, unknown_split="train")
        kept = self.audit / VECTORS
        return np.load(kept, allow_pickle=False) if kept.is_file() else None, load_manifest(config.data)

    @cached_property
    def _rows(self) -> np.ndarray:
        """(N,) rows of the manifest."""
        rows = pd.Index(self._read[1].table["sample_id"]).get_indexer(pd.Index(self.ids))
        if (rows < 0).any():
            raise UserError(f"the scan {self.ids[int((rows < 0).argmax())]!r} of {self.audit} is no longer among its "
                            "data; put it back, or audit again")  # fmt: skip
        return rows

    @cached_property
    def patients(self) -> np.ndarray:
        """(N,) ints from 0 without gaps; a scan whose patient is unknown has one of its own."""
        return np.unique(self._read[1].groups()[self._rows], return_inverse=True)[1]

    @property
    def groups(self) -> np.ndarray:
        """(N,) ints from 0 without gaps: patients, joined where they share a picture."""
        return self._groups

    @property
    def vectors(self) -> np.ndarray:
        """(N, D): those that the audit kept, or was made of; else the scans are embedded again."""
        return self._vectors

    @cached_property
    def _groups(self) -> np.ndarray:
        n = int(self.clusters.max(initial=-1)) + 1
        return merged_groups(self.patients, Clusters(self.clusters, np.zeros(len(self)), np.zeros(n)))

    @cached_property
    def _vectors(self) -> np.ndarray:
        if self._read[0] is not None:
            return self._read[0][self._rows]
        from omegaconf import OmegaConf

        from ssl_robust.audit.material import read_material

        material = read_material(OmegaConf.create(self.config))
        rows = pd.Index(material.manifest.table["sample_id"]).get_indexer(pd.Index(self.ids))
        return material.vectors[rows]


def read_subject(audit: str | Path) -> Subject:
    """The labelled scans of an audit.

    Args:
        audit: its run directory.

    Raises:
        UserError: no finished audit is there.
    """
    place = Path(audit).expanduser()
    config = read_run(place, stage="audit")["config"]
    file = find_audit_table(place)
    if file is None:
        raise UserError(f"{audit} is an unfinished audit; continue it with the same command and resume=true")
    table = read_audit_table(file)
    table = pd.DataFrame(table[table["rank"].notna()].reset_index(drop=True))
    classes = tuple(str(each["name"]) for each in read_json(place / "audit.json")["classes"])
    labels = pd.Index(classes).get_indexer(pd.Index(table["label"].to_numpy(dtype=object)))
    scores = pd.Series(table["score"])
    wrong = pd.Series(table["p_mislabeled"]) if "p_mislabeled" in table else scores
    return Subject(
        place, config, classes, table["sample_id"].to_numpy(dtype=object), labels,
        table["suggested_label"].to_numpy(dtype=object),
        wrong.fillna(scores).to_numpy(dtype=np.float64),
        [each or [] for each in table["neighbors"]] if "neighbors" in table else [[] for _ in labels],
        _clusters(place / "duplicates.csv", pd.Series(table["sample_id"])),
    )  # fmt: skip


def _clusters(file: Path, ids: pd.Series) -> np.ndarray:
    """(N,) numbers from 0 of what an audit found to be one picture."""
    if not file.is_file():
        return np.full(len(ids), -1)
    copies = read_table(file)
    known = dict(zip(copies["sample_id"], copies["cluster"].astype(int) - 1, strict=True))
    return ids.map(known).fillna(-1).to_numpy(dtype=np.int64)
