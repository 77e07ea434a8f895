"""What is believed of the training labels before training: how many are wrong, how sure that is, and which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ssl_robust.audit.estimate import Estimate, estimate_errors
from ssl_robust.classify.rule import Facts
from ssl_robust.data.written import write_table
from ssl_robust.finetune.info import train_features
from ssl_robust.finetune.stage import Prepared
from ssl_robust.finetune.task import Task
from ssl_robust.noise.believed import give_opinion, summed_up
from ssl_robust.records import Believed


@dataclass(frozen=True)
class Doubts:
    """What the encoder's features make of the labels of the training split.

    Attributes:
        task: the labels.
        believed: of those of `task.train`, in this order.
        estimate: the share of wrong ones with its interval; None where scans or patients are too few for one.
    """

    task: Task
    believed: Believed
    estimate: Estimate | None

    @property
    def wrong(self) -> np.ndarray:
        """(n_train,) probability that the label as given is wrong."""
        given = self.task.given[self.task.train]
        return 1 - self.believed.posterior[np.arange(len(given)), given]

    @property
    def n_doubted(self) -> int:
        """Labels that are more likely wrong than right."""
        return int((self.wrong > 0.5).sum())

    def facts(self) -> Facts:
        """For the rule."""
        return Facts(self.believed.rate, self.believed.transition, self.believed.posterior.sum(axis=0))

    def in_words(self) -> str:
        """About how many labels are wrong, in one sentence."""
        n = len(self.task.train)
        said = f"About {self.believed.rate:.0%} of the {n:,} training labels are wrong"
        if self.estimate is None:
            return f"{said} (too few scans or patients to say how sure that is)"
        rate = self.estimate.rate
        return f"{said} ({self.estimate.level:.0%} interval {rate.low:.0%} to {rate.high:.0%})"

    def as_record(self) -> dict[str, Any]:
        """`noise` of train.json."""
        interval = None
        if self.estimate is not None:
            interval = {"low": self.estimate.rate.low, "high": self.estimate.rate.high, "level": self.estimate.level}
        return {
            "rate": self.believed.rate,
            "interval": interval,
            "n_labels": len(self.task.train),
            "n_doubted": self.n_doubted,
            "transition": np.asarray(self.believed.transition).round(4).tolist(),
            "sentence": self.in_words(),
        }

    def write(self, path: Path) -> None:
        """doubts.csv, most doubtful first: sample_id, given_label, p_wrong, suggested_label (the likeliest class)."""
        task, order = self.task, np.argsort(-self.wrong, kind="stable")
        rows = task.train[order]
        names = np.array(task.manifest.classes, dtype=object)
        table = pd.DataFrame(task.manifest.table.loc[rows, ["sample_id"]])
        table["given_label"] = names[task.given[rows]]
        table["p_wrong"] = self.wrong[order].round(6)
        table["suggested_label"] = names[self.believed.posterior[order].argmax(axis=1)]
        write_table(path, table)


def doubt(prepared: Prepared, settings: Mapping[str, Any], device: torch.device) -> Doubts:
    """Judge the training labels as an audit does, by the features of the encoder that training starts from.

    Args:
        prepared: what is trained on.
        settings: of the stage: `probe`, `noise_model`, `estimate`, `seed` and `trainer.progress` are read.
        device: where to compute.
    """
    task = prepared.task
    given, groups = task.given[task.train], task.manifest.groups()[task.train]
    vectors = train_features(task, prepared.encoder, prepared.scans, settings, device)
    opinion = give_opinion(
        vectors, given, groups, n_classes=task.n_classes, settings=settings, seed=settings["seed"]
    )  # fmt: skip
    limits, own = settings["estimate"], np.unique(groups, return_inverse=True)[1]
    estimate = None
    if len(given) >= limits["fewest_labels"] and own.max() + 1 >= limits["fewest_groups"]:
        estimate = estimate_errors(opinion, given, own, settings=limits, noise_model=settings["noise_model"],
                                   seed=settings["seed"])  # fmt: skip
    return Doubts(task, summed_up(opinion, given), estimate)
