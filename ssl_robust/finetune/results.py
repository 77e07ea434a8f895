"""What a finished fine-tuning run leaves to be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_robust import metrics
from ssl_robust.finetune.history import History
from ssl_robust.run import write_json


def write_results(
    out: Path, history: History, variance: np.ndarray | None, *, interval: Mapping[str, Any], seed: int,
    n_seen: int | None,
) -> None:  # fmt: skip
    """Write predictions.csv, dynamics.npz and metrics.json, and say the two numbers that count.

    Args:
        out: the run directory.
        history: of all epochs.
        variance: (n_train,) of gradients, None where it was not recorded.
        interval: as for `measures`, like the others.
        seed: of that interval.
        n_seen: test scans that the encoder was pretrained on.
    """
    history.task.write_predictions(out / "predictions.csv", history.best_test, history.last_correct())
    history.write_dynamics(out / "dynamics.npz", variance)
    values = measures(history, interval=interval, seed=seed, n_seen=n_seen)
    write_json(out / "metrics.json", values)
    noise = values["noise"]
    if noise["realised_rate"] and noise["rate"]:
        print(
            f"Labels of train and val made wrong: {noise['realised_rate']:.1%}, {noise['rate']:.1%} asked for",
            flush=True,
        )
    print(f"Test balanced accuracy: best epoch {values['best']['balanced_accuracy']:.3f}, "
          f"mean of the last {values['last']['n_epochs']} epochs {values['last']['balanced_accuracy']:.3f}",
          flush=True)  # fmt: skip


def measures(history: History, *, interval: Mapping[str, Any], seed: int, n_seen: int | None) -> dict[str, Any]:
    """What metrics.json holds.

    Args:
        history: of all epochs.
        interval: `level` and `n_resamples` of the interval around the best epoch's balanced accuracy.
        seed: of that interval.
        n_seen: test scans that the encoder was pretrained on, None where that is unknown.
    """
    task, corruption = history.task, history.task.corruption
    truth = task.truth[task.test]

    def balanced_accuracy(labels: Any, predicted: Any) -> float:
        recalls = metrics.class_recalls(labels, predicted, n_classes=task.n_classes)
        return float(np.nanmean(recalls))

    drawn = metrics.bootstrap_interval(
        balanced_accuracy,
        truth,
        history.best_test.argmax(axis=1),
        groups=task.manifest.groups()[task.test],
        n_resamples=interval["n_resamples"],
        level=interval["level"],
        seed=seed,
    )
    noise = {
        "kind": corruption.kind,
        "rate": corruption.rate,
        "realised_rate": corruption.realised_rate,
        "transition": corruption.transition,
    }
    best = {**history.best(), "balanced_accuracy_interval": [drawn.low, drawn.high]}
    counts = {
        f"n_{split}": len(rows) for split, rows in (("train", task.train), ("val", task.val), ("test", task.test))
    }
    return {
        "best": best,
        "last": history.last(),
        "noise": noise,
        **counts,
        "n_train_by_class": {"before_noise": task.class_counts(clean=True), "given": task.class_counts()},
        "n_test_pretrained_on": n_seen,
        "classes": task.manifest.classes,
    }
