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
    areas = np.stack([_area(mine, probabilities[:, code], counts)
                      for mine, code in zip(is_class.T, classes, strict=True)], axis=1)  # fmt: skip
    several = there.sum(axis=1) > 1
    return {
        "balanced_accuracy": np.nanmean(recalls, axis=1),
        "auroc": np.where(several, np.sum(areas, axis=1, where=there) / there.sum(axis=1), np.nan),
        "macro_f1": np.nanmean(f1, axis=1),
        "worst_class_recall": np.nanmin(recalls, axis=1),
    }


def _area(positive: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(b,) area under the curve of one class against the rest; 0 where one of the two is not there."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)  # of each run of equal scores
    alike = np.add.reduceat(counts[:, order], starts, axis=1)
    hits = np.add.reduceat(counts[:, order] * positive[order], starts, axis=1)
    others = alike - hits
    below = np.cumsum(others, axis=1) - others / 2  # scans of the rest that score less, ties by half
    n_hits, n_others = hits.sum(axis=1), others.sum(axis=1)
    return (hits * below).sum(axis=1) / np.maximum(n_hits * n_others, 1)
