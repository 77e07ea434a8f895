"""Labels as the training sees them and as they really are: who is trained on, what for, and measured against what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust.data.manifest import Manifest
from ssl_robust.data.splits import SPLITS
from ssl_robust.data.written import write_table
from ssl_robust.noise.corruption import Corruption, noise_labels
from ssl_robust.run import UserError


@dataclass(frozen=True)
class Task:
    """A labelled data set after noise was added.

    Attributes:
        manifest: the scans.
        train: (n,) labelled training rows.
        val: (n,) labelled validation rows, perhaps none.
        test: (n,) labelled test rows.
        given: (N,) codes to train and select with, -1 = none; equal to `truth` in a clean test split.
        truth: (N,) `true_label` where the manifest knows it, else the label before noise was added; -1 = none.
        corruption: what was done to the labels.
    """

    manifest: Manifest
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    given: np.ndarray
    truth: np.ndarray
    corruption: Corruption

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.manifest.classes)

    def class_counts(self, *, clean: bool = False) -> list[int]:
        """(K,) training scans of each class: by the labels as given, or as they were before noise was added."""
        codes = self.manifest.codes() if clean else self.given
        return np.bincount(codes[self.train], minlength=self.n_classes).tolist()

    def write_labels(self, path: Path) -> None:
        """labels.csv: sample_id, split, label (the truth as far as it is known), given_label, is_corrupted."""
        table = pd.DataFrame(self.manifest.table[["sample_id", "split"]])
        table["label"] = self._names(self.truth)
        table["given_label"] = self._names(self.given)
        table["is_corrupted"] = (self.given != self.truth) & (self.given >= 0)
        write_table(path, table)

    def write_predictions(self, path: Path, probabilities: np.ndarray) -> None:
        """predictions.csv of the test split: sample_id, split, label, predicted, and p_<class> for each class.

        Args:
            path: the file.
            probabilities: (n, K), in the order of `test`.
        """
        table = pd.DataFrame(self.manifest.table.loc[self.test, ["sample_id", "split"]])
        table["label"] = self._names(self.truth[self.test])
        table["predicted"] = self._names(probabilities.argmax(axis=1))
        for code, name in enumerate(self.manifest.classes):
            table[f"p_{name}"] = probabilities[:, code].round(6)
        write_table(path, table)

    def _names(self, codes: np.ndarray) -> list[str | None]:
        return [None if code < 0 else self.manifest.classes[code] for code in codes]


def make_task(manifest: Manifest, noise: Mapping[str, Any], seed: int, pixels: np.ndarray | None = None) -> Task:
    """Add the noise and check that there is something to learn and to measure.

    Args:
        manifest: the scans.
        noise: the `noise` node of a configuration.
        seed: of the noise.
        pixels: (N, S, S, C) of the scans, for noise that hangs on them.

    Raises:
        UserError: no label, one class, a class without a training scan, no test scan, or a noise that cannot be.
    """
    clean = manifest.codes()
    labelled = {split: rows[clean[rows] >= 0] for split in SPLITS for rows in [manifest.rows(split)]}
    if not (clean >= 0).any():
        raise UserError("no scan has a label, so there is nothing to learn; name the column with data.columns.label=")
    if len(np.unique(clean[labelled["train"]])) < 2:
        raise UserError("the labelled training scans are of fewer than two classes; fine-tuning needs at least two")
    counts = np.bincount(clean[labelled["train"]], minlength=len(manifest.classes))
    missing = [manifest.classes[code] for code in np.flatnonzero(counts == 0)]
    if missing:
        raise UserError(f"the class {missing[0]!r} has no training scan; add some, or leave its scans out of the data")
    if len(labelled["test"]) == 0:
        raise UserError("no labelled scan is in the split test, so nothing can be measured; put some there")
    for code in np.flatnonzero(counts == 1):
        print(f"Note: the class {manifest.classes[code]!r} has a single training scan", flush=True)
    corruption = noise_labels(manifest, noise, seed, pixels)
    known = manifest.codes("true_label")
    truth = np.where(known >= 0, known, clean)
    return Task(manifest, **labelled, given=corruption.labels, truth=truth, corruption=corruption)
