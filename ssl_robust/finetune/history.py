"""What the predictions of every epoch say: measures, memorised labels, dynamics, and which epoch is the best.

BEST is chosen by the labels that a user would have, the noisy ones of the validation split. LAST, the mean of the last
five epochs, is what is left when nobody chooses; a strategy that memorises the noise shows it there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust import metrics
from ssl_robust.finetune.task import Task
from ssl_robust.noise.dynamics import loss_and_margin
from ssl_robust.run import replacing

KEEP = ("best", "last")
_LAST = 5


class History:
    """Grows by one epoch at a time; its state is plain lists and arrays.

    Args:
        task: the labels.
        keep: which epoch counts as the best: one of `KEEP`, by the validation labels or simply the last.

    Attributes:
        rows: one dict per epoch, a row of metrics.csv.
        best_epoch: number of the best epoch so far, from 1; 0 = none yet.
        best_test: (n_test, K) probabilities of that epoch.
    """

    def __init__(self, task: Task, *, keep: str = KEEP[0]) -> None:
        self.task, self.keep = task, keep
        self.rows: list[dict[str, Any]] = []
        self.best_epoch = 0
        self.best_test = np.empty((0, task.n_classes), dtype=np.float32)
        self._hits: list[np.ndarray] = []
        self._losses: list[np.ndarray] = []
        self._margins: list[np.ndarray] = []

    def add(self, train: np.ndarray, val: np.ndarray, test: np.ndarray, **facts: Any) -> bool:
        """Take in an epoch.

        Args:
            train: (n_train, K) probabilities without augmentation, likewise `val` and `test`.
            val: of the validation rows; without any, every epoch is taken for the best so far.
            test: of the test rows.
            facts: further columns for metrics.csv, e.g. the training loss.

        Returns:
            Whether the epoch is the best so far; of equal ones the first is.
        """
        task = self.task
        epoch = len(self.rows) + 1
        row: dict[str, Any] = {"epoch": epoch, **facts}
        row["val_balanced_accuracy"] = _balanced_accuracy(task.given[task.val], val) if len(task.val) else np.nan
        row |= {f"test_{name}": value for name, value in metrics.classification(task.truth[task.test], test).items()}
        row |= memorised(task.given[task.train], task.truth[task.train], train)
        self.rows.append(row)
        loss, margin = loss_and_margin(task.given[task.train], train)
        self._hits = [*self._hits[1 - _LAST :], test.argmax(axis=1) == task.truth[task.test]]
        self._losses.append(loss)
        self._margins.append(margin)
        before = self.rows[self.best_epoch - 1]["val_balanced_accuracy"] if self.best_epoch else -np.inf
        if (
            self.keep == "last" or not row["val_balanced_accuracy"] <= before
        ):  # also where both are NaN: no validation split
            self.best_epoch, self.best_test = epoch, test.astype(np.float32)
            return True
        return False

    def best(self) -> dict[str, float]:
        """Measures on clean test labels, and the memorised share, of the best epoch."""
        return {"epoch": self.best_epoch, **self._measures(self.rows[self.best_epoch - 1 : self.best_epoch])}

    def last(self) -> dict[str, float]:
        """Means over the last five epochs (over all where there are fewer)."""
        rows = self.rows[-_LAST:]
        return {"n_epochs": len(rows), **self._measures(rows)}

    def last_correct(self) -> np.ndarray:
        """(n_test,) share of the last five epochs in which each test scan was answered rightly.

        The mean of the epochs' balanced accuracies is that of these shares, so that LAST can be drawn by patients.
        """
        return np.mean(self._hits, axis=0)

    def write_dynamics(self, path: Path, variance: np.ndarray | None = None) -> None:
        """dynamics.npz: loss, margin (E, N) float16; vog (N,) float32 where recorded; rows (N,), rows of labels.csv.

        Args:
            path: the file.
            variance: of gradients.
        """
        arrays = {"loss": np.stack(self._losses), "margin": np.stack(self._margins), "rows": self.task.train}
        if variance is not None:
            arrays["vog"] = variance
        with replacing(path) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: plain containers and tensors."""
        import torch

        arrays = {
            "best_test": self.best_test,
            "hits": np.array(self._hits),
            "losses": np.array(self._losses),
            "margins": np.array(self._margins),
        }
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return {"rows": self.rows, "best_epoch": self.best_epoch, **tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.rows, self.best_epoch = list(state["rows"]), state["best_epoch"]
        self.best_test = state["best_test"].cpu().numpy()
        self._hits = list(state["hits"].cpu().numpy())
        self._losses, self._margins = (list(state[name].cpu().numpy()) for name in ("losses", "margins"))

    def _measures(self, rows: list[dict[str, Any]]) -> dict[str, float]:
        names = [name for name in rows[0] if name.startswith("test_")] + ["memorised", "recovered"]
        return {name.removeprefix("test_"): float(np.mean([row[name] for row in rows])) for name in names}


def _balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """That of `metrics.classification` alone, whose other measures take most of an epoch on frozen features."""
    predicted = probabilities.argmax(axis=1)
    return float(np.nanmean(metrics.class_recalls(labels, predicted, n_classes=probabilities.shape[1])))


def memorised(given: np.ndarray, truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """How a model answers on the training samples whose given label is wrong.

    Args:
        given: (N,) codes as given.
        truth: (N,) true codes.
        probabilities: (N, K) predictions without augmentation.

    Returns:
        memorised: share predicted as the given wrong label, lower = better; recovered: share predicted as the true
        one, higher = better; NaN where no label is wrong.
    """
    wrong = given != truth
    predicted = probabilities.argmax(axis=1)[wrong]
    if len(predicted) == 0:
        return {"memorised": float("nan"), "recovered": float("nan")}
    return {
        "memorised": float(np.mean(predicted == given[wrong])),
        "recovered": float(np.mean(predicted == truth[wrong])),
    }
