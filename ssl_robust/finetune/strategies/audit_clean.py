"""Training on what an audit believes of the labels: suspects are left out, count less, or teach what they look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_robust.finetune.classifier import Classifier
from ssl_robust.finetune.strategy import Evaluation, Strategy, Stream
from ssl_robust.noise.recorded_audit import audit_file, read_posterior
from ssl_robust.records import Batch, TrainInfo

MODES = ("drop", "weight", "soften")


class AuditClean(Strategy):
    """Cross-entropy with labels that were audited before.

    With p = p(label is wrong | scan, label) of N labels and q(c) = p(true class is c | scan, label):

    - drop: mean of CE over the labels with p <= threshold (Northcutt et al. 2021, arXiv 1911.00068);
    - weight: sum (1 - p) CE / sum (1 - p);
    - soften: mean of - sum_c q(c) log f_c, the posterior in place of the label.

    Args:
        audit: directory of a finished audit of these labels; None: they are judged here, out of fold, by the features
            of the encoder that training starts from.
        mode: drop, weight or soften.
        threshold: p above which `drop` leaves a label out.
        keep_per_class: labels of each class that count as right whatever is believed of them, those believed most
            first: a rare class is not emptied, though its labels are suspected more often than others.
    """

    targets: Tensor  # (N, K)
    weights: Tensor  # (N,), 0 = left out, mean 1 among the others

    def __init__(self, *, audit: str | None, mode: str, threshold: float, keep_per_class: int) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode={mode}; expected {', '.join(MODES[:-1])} or {MODES[-1]}")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold}; expected a probability, e.g. 0.5")
        if isinstance(keep_per_class, bool) or not isinstance(keep_per_class, int) or keep_per_class < 1:
            raise ValueError(f"keep_per_class={keep_per_class}; expected a whole number from 1 on, as a class without "
                             "a label cannot be learnt")  # fmt: skip
        if audit is not None:
            audit_file(audit)
        self.audit, self.mode, self.threshold, self.keep_per_class = audit, mode, threshold, keep_per_class

    def start(self, info: TrainInfo) -> None:
        """Ask for what is believed of the labels; a resumed run takes what it was told at first from its checkpoint."""
        super().start(info)
        labels = info.labels.numpy()
        if self.audit is None:
            believed = np.asarray(info.believe().posterior)
        else:
            believed = read_posterior(self.audit, info.sample_ids, labels, info.classes)
        posterior = trusted(believed, labels, n=self.keep_per_class)
        wrong = 1 - posterior[np.arange(len(labels)), labels]
        weights = {"drop": wrong <= self.threshold, "weight": 1 - wrong, "soften": np.ones(len(labels))}[self.mode]
        weights = torch.from_numpy(weights.astype(np.float32))
        given = F.one_hot(info.labels, info.n_classes).float()
        self.register_buffer("targets", torch.from_numpy(posterior) if self.mode == "soften" else given)
        # Scaled once and not in each batch, whose sum would follow from who happens to be in it.
        self.register_buffer("weights", weights / weights[weights > 0].mean())
        believed_wrong = 1 - believed[np.arange(len(labels)), labels]
        self.said = _in_words(self.mode, believed_wrong, weights.numpy())

    def plan_epoch(self, epoch: int, evaluate: Callable[[int], Evaluation]) -> list[dict[str, Stream]]:
        """One stream of the labels that count; see `Strategy.plan_epoch`."""
        return [{"train": Stream(np.flatnonzero(self.weights.cpu().numpy()), n_views=1)}]

    def losses(self, models: Sequence[Classifier], batches: Sequence[Mapping[str, Batch]], epoch: int) -> list[Tensor]:
        """Weighted cross-entropy with the targets; see `Strategy.losses`."""
        batch = batches[0]["train"]
        logits = self.logits(models[0], batch.images[0])
        losses = F.cross_entropy(logits, self.targets[batch.indices], reduction="none")
        return [(self.weights[batch.indices] * losses).mean()]

    def logits(self, model: Classifier, images: Tensor) -> Tensor:
        """(B, K) that the loss is taken of."""
        return model(images)


def trusted(posterior: np.ndarray, labels: np.ndarray, *, n: int) -> np.ndarray:
    """Beliefs, with the label as given for the `n` labels of each class that are believed most.

    Args:
        posterior: (N, K) p(true class | sample, label as given).
        labels: (N,) codes as given.
        n: labels of each class; all where it has fewer.

    Returns:
        (N, K) float32, rows sum to one.
    """
    result = posterior.astype(np.float32)
    own = posterior[np.arange(len(labels)), labels]
    for code in np.unique(labels):
        rows = np.flatnonzero(labels == code)
        best = rows[np.argsort(-own[rows], kind="stable")[:n]]
        result[best] = 0
        result[best, code] = 1
    return result


def _in_words(mode: str, wrong: np.ndarray, weights: np.ndarray) -> str:
    said = f"{len(wrong):,} training labels, of which {wrong.mean():.1%} are believed wrong"
    return said + (f"; {(weights == 0).sum():,} are left out" if mode == "drop" else "")
