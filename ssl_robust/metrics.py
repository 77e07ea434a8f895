"""Measures of classifiers, of detectors of wrong labels and of embeddings; scikit-learn underneath.

Plain accuracy hides classes that are never predicted, so a classifier is described by six numbers, and every number
can be given an interval whose resampling unit is the patient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

_CUTS = (10, 50, 100)


class Interval(NamedTuple):
    """A statistic of all samples and the bootstrap interval around it."""

    estimate: float
    low: float
    high: float


def class_recalls(labels: np.ndarray, predicted: np.ndarray, *, n_classes: int) -> np.ndarray:
    """Labels and predictions -> (K,) share of each class that is found, NaN for a class without samples.

    Args:
        labels: (N,) ints in [0, K).
        predicted: (N,) ints in [0, K).
        n_classes: K.
    """
    counts = np.bincount(labels, minlength=n_classes)
    found = np.bincount(labels[labels == predicted], minlength=n_classes)
    return np.where(counts > 0, found / np.maximum(counts, 1), np.nan)


def classification(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """True labels and predicted probabilities -> six measures, all but `ece` higher = better.

    Classes without a sample in `labels` are left out of the means over classes, so that a small test split is not
    punished for what it lacks.

    Args:
        labels: (N,) ints in [0, K), the truth to measure against.
        probabilities: (N, K) rows that sum to one.

    Returns:
        balanced_accuracy: mean recall over the classes present; accuracy; macro_f1; worst_class_recall;
        auroc: mean over the classes present of one class against the rest, NaN where there is only one class;
        ece: see `calibration_error`, lower = better.

    Raises:
        ValueError: lengths differ (the message states both), no sample, a probability that is not finite, or a label
            outside [0, K).
    """
    labels, probabilities = _checked(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    recalls = class_recalls(labels, predicted, n_classes=probabilities.shape[1])
    f1 = f1_score(labels, predicted, labels=present, average=None, zero_division=0.0)  # type: ignore[arg-type]
    one_against_rest = [
        roc_auc_score(labels == code, probabilities[:, code]) if len(present) > 1 else np.nan for code in present
    ]
    return {
        "balanced_accuracy": float(np.nanmean(recalls)),
        "accuracy": float(np.mean(predicted == labels)),
        "macro_f1": float(np.mean(f1)),
        "worst_class_recall": float(np.nanmin(recalls)),
        "auroc": float(np.mean(one_against_rest)),
        "ece": calibration_error(labels, probabilities),
    }


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, *, n_bins: int = 15) -> float:
    """Expected calibration error in [0, 1], lower = better: sum_b n_b / N |accuracy_b - confidence_b|.

    Confidence is the largest probability of a sample; the bins ((b-1)/B, b/B] are equally wide (Guo et al. 2017,
    arXiv 1706.04599, eq. 3, with its 15 bins).

    Args:
        labels: (N,) ints in [0, K).
        probabilities: (N, K) rows that sum to one.
        n_bins: B.

    Raises:
        ValueError: lengths differ (the message states both), no sample, a probability that is not finite, or a label
            outside [0, K).
    """
    labels, probabilities = _checked(labels, probabilities)
    confidence = probabilities.max(axis=1).astype(np.float64)
    gap = (probabilities.argmax(axis=1) == labels) - confidence
    # n_b |accuracy_b - confidence_b| is the absolute sum of the gaps in the bin.
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    return float(np.abs(np.bincount(bins, weights=gap, minlength=n_bins)).sum() / len(labels))


def detection(
    is_wrong: np.ndarray,
    scores: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    n_resamples: int,
    level: float,
    seed: int,
) -> dict[str, Any]:
    """How well scores find the wrong labels; every measure higher = better, and independent of the order of samples.

    Args:
        is_wrong: (N,) bool, True where the given label is wrong.
        scores: (N,) finite floats, higher = more likely mislabelled.
        groups: see `bootstrap_interval`, as are the remaining arguments.
        n_resamples: number of draws.
        level: coverage.
        seed: of the draws.

    Returns:
        An `Interval` each: auroc; average_precision; precision_at: share of wrong labels among the first "10", "50",
        "100" (those that do not pass N) and "n_wrong" samples by score, equal scores counted at their mean. All NaN
        where nothing or everything is wrong.

    Raises:
        ValueError: lengths differ (the message states both), or a score is not finite.
    """
    is_wrong, scores = np.asarray(is_wrong, dtype=bool), np.asarray(scores, dtype=np.float64)
    if is_wrong.shape != scores.shape or is_wrong.ndim != 1:
        raise ValueError(f"is_wrong and scores differ in shape: {is_wrong.shape} and {scores.shape}; expected (N,)")
    if not np.isfinite(scores).all():
        raise ValueError(f"{(~np.isfinite(scores)).sum()} of {len(scores)} scores are not finite")

    _check_bootstrap([len(scores)] + ([] if groups is None else [len(groups)]), n_resamples, level)
    cuts: dict[str, int | None] = {str(cut): cut for cut in _CUTS if cut <= len(scores)} | {"n_wrong": None}
    # Sorted once: a draw of patients changes how often a sample counts, never the order of the scores.
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    wrong, codes = is_wrong[order], _group_codes(groups, len(scores))[order]
    rng = np.random.default_rng(seed)
    n_groups = int(codes.max()) + 1
    draws = np.empty((n_resamples, 2 + len(cuts)))
    for i in range(n_resamples):
        counts = np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)[codes]
        draws[i] = _measures(wrong, counts, starts, list(cuts.values()))
    estimates = _measures(wrong, np.ones(len(scores), dtype=np.int64), starts, list(cuts.values()))
    auroc, precision, *at = (percentile_interval(*each, level) for each in zip(estimates, draws.T, strict=True))
    return {"auroc": auroc, "average_precision": precision, "precision_at": dict(zip(cuts, at, strict=True))}


def _measures(wrong: np.ndarray, counts: np.ndarray, starts: np.ndarray, cuts: list[int | None]) -> list[float]:
    """AUROC, average precision and the precision at each cut of samples that count several times or not at all.

    Args:
        wrong: (N,) bool, highest score first.
        counts: (N,) how often each sample counts.
        starts: where each run of equal scores begins.
        cuts: as many of the highest scores; None: as many as are wrong.
    """
    alike = np.add.reduceat(counts, starts)
    hits = np.add.reduceat(np.where(wrong, counts, 0), starts)
    passed, found = np.cumsum(alike), np.cumsum(hits)
    n, n_wrong = int(passed[-1]), int(found[-1])
    if n_wrong in (0, n):
        return [float("nan")] * (2 + len(cuts))
    cleared = passed - found
    below = (n - n_wrong) - cleared + (alike - hits) / 2  # right labels that score less, ties by half
    auroc = float(hits @ below) / (n_wrong * (n - n_wrong))
    precision = float(hits @ (found / np.maximum(passed, 1))) / n_wrong
    at = []
    for wanted in cuts:
        cut = min(n_wrong if wanted is None else wanted, n)  # a draw of groups may be smaller than the set
        last = int(np.searchsorted(passed, cut))
        tied = cut - (passed[last] - alike[last])  # taken of the scores that are alike at the cut, by their share
        at.append(float((found[last] - hits[last] + tied * hits[last] / alike[last]) / cut))
    return [auroc, precision, *at]


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: np.ndarray,
    groups: np.ndarray | None = None,
    n_resamples: int,
    level: float,
    seed: int,
) -> Interval:
    """Percentile bootstrap of `statistic(*arrays)` in which whole groups are drawn with replacement.

    Images of one patient are not independent: drawing images instead of patients gives intervals that are too narrow.

    Args:
        statistic: takes the arrays, all with the same rows, and returns a number; NaN drops out.
        arrays: one or more arrays with N rows.
        groups: (N,) codes drawn as a whole; every sample its own where None.
        n_resamples: number of draws.
        level: coverage in (0, 1), e.g. 0.95.
        seed: same seed, same interval.

    Returns:
        (estimate, low, high): the statistic of all samples and the interval; NaN bounds where every draw was NaN.

    Raises:
        ValueError: lengths differ (the message states them), there is no sample, or `n_resamples` or `level` lies
            outside its range.
    """
    lengths = [len(array) for array in arrays] + ([] if groups is None else [len(groups)])
    _check_bootstrap(lengths, n_resamples, level)
    codes = _group_codes(groups, lengths[0])
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    rng = np.random.default_rng(seed)
    draws = np.empty(n_resamples)
    for i in range(n_resamples):
        rows = np.concatenate([members[group] for group in rng.integers(len(members), size=len(members))])
        draws[i] = statistic(*(array[rows] for array in arrays))
    return percentile_interval(float(statistic(*arrays)), draws, level)


def _check_bootstrap(lengths: list[int], n_resamples: int, level: float) -> None:
    if n_resamples < 1 or not 0 < level < 1:
        raise ValueError(f"expected n_resamples >= 1 and level in (0, 1), got {n_resamples} and {level}")
    if not lengths or len(set(lengths)) != 1 or lengths[0] == 0:
        raise ValueError(f"the arrays and groups need one and the same length above zero, got {lengths}")


def _group_codes(groups: np.ndarray | None, n: int) -> np.ndarray:
    return np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]


def percentile_interval(estimate: float, draws: np.ndarray, level: float) -> Interval:
    """A statistic and what it was in each draw of a bootstrap -> its interval; NaN bounds where every draw was NaN.

    Args:
        estimate: the statistic of all samples.
        draws: (R,) the statistic of each draw; NaN drops out.
        level: coverage in (0, 1).
    """
    draws = draws[~np.isnan(draws)]
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(draws, tails) if len(draws) else (np.nan, np.nan)
    return Interval(estimate, float(low), float(high))


def _checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape}: expected (N,) and (N, K)")
    if len(labels) == 0:
        raise ValueError("there is no sample to measure")
    if not np.isfinite(probabilities).all():
        row = int(np.isfinite(probabilities).all(axis=1).argmin())
        raise ValueError(f"row {row} of the probabilities holds NaN or infinity; expected numbers in [0, 1]")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(
            f"labels lie in [{labels.min()}, {labels.max()}], expected [0, {probabilities.shape[1]}) "
            "as probabilities has so many columns"
        )
    return labels, probabilities
