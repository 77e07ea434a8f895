"""Measures of a test set whose patients are drawn again and again, the classifier staying as it is.

A draw of patients changes how often a scan counts, never its prediction: the measures are computed from counts, for
many draws at once, and all features and protocols see the same draws, so that differences between them are paired.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MEASURES = ("balanced_accuracy", "auroc", "macro_f1", "worst_class_recall")
_BLOCK = 1 << 21  # counts held at once


def resampled_counts(groups: np.ndarray, *, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each scan counts: first once, then in each draw of whole groups with replacement.

    The draws are those of `metrics.bootstrap_interval` with the same seed.

    Args:
        groups: (N,) patient codes.
        n_resamples: R draws.
        seed: of the draws.

    Yields:
        (b, N) float64 blocks, together 1 + R rows.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    n_groups, rng = int(codes.max()) + 1, np.random.default_rng(seed)
    step = max(1, _BLOCK // len(codes))
    yield np.ones((1, len(codes)))
    for start in range(0, n_resamples, step):
        draws = (rng.integers(n_groups, size=n_groups) for _ in range(min(step, n_resamples - start)))
        yield np.stack([np.bincount(draw, minlength=n_groups)[codes] for draw in draws]).astype(np.float64)


def measures(labels: np.ndarray, probabilities: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """The `MEASURES` of a test set in which scans count several times or not at all.

    They are those of `metrics.classification` of the repeated scans; classes that no counted scan has are left out.

    Args:
        labels: (N,) ints in [0, K).
        probabilities: (N, K) rows that sum to one.
        counts: (b, N) how often each scan counts, at least one of them in every row.

    Returns:
        (b,) float64 each; `auroc` is NaN where all counted scans are of one class.
    """
    classes = np.unique(labels)
    is_class = labels[:, None] == classes  # (N, present)
    answered = probabilities.argmax(axis=1)[:, None] == classes
    n, found, said = (counts @ each.astype(np.float64) for each in (is_class, is_class & answered, answered))
    there = n > 0
    recalls = np.where(there, found / np.maximum(n, 1), np.nan)
    f1 = np.where(there, 2 * found / np.maximum(n + said, 1), np.nan)
    by_scan = np.ascontiguousarray(counts.T)
    areas = np.stack([_area(mine, probabilities[:, code], by_scan)
                      for mine, code in zip(is_class.T, classes, strict=True)], axis=1)  # fmt: skip
    several = there.sum(axis=1) > 1
    return {
        "balanced_accuracy": np.nanmean(recalls, axis=1),
        "auroc": np.where(several, np.sum(areas, axis=1, where=there) / there.sum(axis=1), np.nan),
        "macro_f1": np.nanmean(f1, axis=1),
        "worst_class_recall": np.nanmin(recalls, axis=1),
    }


def _area(positive: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(b,) area under the curve of one class against the rest; 0 where one of the two is not there.

    Args:
        positive: (N,) bool, scans of the class.
        scores: (N,) its probabilities.
        counts: (N, b) how often each scan counts; along b, so that whole rows are added.
    """
    others = np.flatnonzero(~positive)
    others = others[np.argsort(scores[others], kind="stable")]
    passed = np.zeros((len(others) + 1, counts.shape[1]))
    np.cumsum(counts[others], axis=0, out=passed[1:])  # scans of the rest up to a place in their order
    less, upto = (np.searchsorted(scores[others], scores[positive], side) for side in ("left", "right"))
    below = passed[less] if np.array_equal(less, upto) else (passed[less] + passed[upto]) / 2  # ties by half
    hits = counts[positive]
    return np.einsum("ij,ij->j", hits, below) / np.maximum(hits.sum(axis=0) * passed[-1], 1)
