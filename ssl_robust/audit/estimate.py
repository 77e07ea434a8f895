"""How many labels are wrong, and how sure that is: in all, class by class, and for each pair of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_robust.metrics import Interval
from ssl_robust.noise.anchors import find_anchors
from ssl_robust.noise.likelihood import fit_noise
from ssl_robust.noise.opinion import Opinion
from ssl_robust.probes.soft import softmax


@dataclass(frozen=True)
class Estimate:
    """Wrong labels among N, without knowing a single true one.

    Attributes:
        n: labels that were judged.
        rate: share of wrong labels.
        by_class: number of wrong labels among those of each given class.
        transition: (3, K, K) T[true, given], its lower and its upper bound.
        prior: (K,) shares of the true classes.
        level: coverage of the intervals.
        n_resamples: draws of patients behind them.
    """

    n: int
    rate: Interval
    by_class: list[Interval]
    transition: np.ndarray
    prior: np.ndarray
    level: float
    n_resamples: int


def estimate_errors(
    opinion: Opinion, labels: np.ndarray, groups: np.ndarray, *, settings: Mapping[str, Any],
    noise_model: Mapping[str, Any], seed: int, least: int = 0,
) -> Estimate:  # fmt: skip
    """The number of wrong labels with intervals by bootstrap over patients.

    In each draw anchors and noise matrix are found anew. Draws take turns between the opinions of all probes together
    and of each alone: how far these differ is part of what is not known. That encoder and noise model may be wrong, no
    draw of patients tells; `unknown` widens the interval for it.

    Args:
        opinion: of all labels.
        labels: (N,) ints in [0, K), as given.
        groups: (N,) ints from 0, drawn as a whole.
        settings: the node `estimate` of configs/audit.yaml.
        noise_model: the node `noise_model` of configs/_opinion.yaml.
        seed: of the draws.
        least: labels that are wrong for sure, below which no interval goes.
    """
    n_classes = opinion.posterior.shape[1]
    wrong = opinion.wrong(labels)
    sizes = np.bincount(labels, minlength=n_classes)
    shares = np.bincount(labels, wrong, minlength=n_classes) / np.maximum(sizes, 1)
    draws, matrices = _draws(opinion, labels, groups, settings, noise_model, seed)
    tails = [(1 - settings["level"]) / 2, (1 + settings["level"]) / 2]
    low, high = _quantiles(draws, tails)
    found = np.append(wrong.mean(), shares)
    low, high = np.clip(found + low, 0, 1), np.clip(found + high, 0, 1)
    low[0] = min(max(low[0], least / len(labels)), found[0])
    rate, *by_class = (Interval(*map(float, each)) for each in zip(found, low, high, strict=True))
    matrix = opinion.noise.transition
    bounds = matrix + _quantiles(matrices.reshape(len(matrices), -1), tails).reshape(2, *matrix.shape)
    return Estimate(
        n=len(labels),
        rate=rate,
        by_class=[
            Interval(*(float(size * value) for value in each)) for size, each in zip(sizes, by_class, strict=True)
        ],
        transition=np.concatenate([matrix[None], np.clip(bounds, 0, 1)]),
        prior=opinion.posterior.mean(axis=0),
        level=settings["level"],
        n_resamples=settings["n_resamples"],
    )


def as_record(estimate: Estimate | None, why: str | None, classes: Sequence[str]) -> dict[str, Any]:
    """`estimate`, `estimate_why` and `transition` of audit.json.

    Args:
        estimate: of all labels, None where no claim is possible.
        why: one sentence, then.
        classes: K names.
    """
    if estimate is None:
        return {"estimate": None, "estimate_why": why, "transition": None}
    matrix, low, high = estimate.transition.round(4).tolist()
    return {
        "estimate": {
            "n_wrong": {name: value * estimate.n for name, value in estimate.rate._asdict().items()},
            "rate": estimate.rate._asdict(),
            "n": estimate.n,
            "level": estimate.level,
            "n_resamples": estimate.n_resamples,
        },
        "estimate_why": None,
        "transition": {"classes": list(classes), "matrix": matrix, "low": low, "high": high,
                       "prior": estimate.prior.round(6).tolist()},
    }  # fmt: skip


def _draws(
    opinion: Opinion, labels: np.ndarray, groups: np.ndarray, settings: Mapping[str, Any],
    noise_model: Mapping[str, Any], seed: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(R, 1 + K) share of wrong labels, in all and class by class, and (R, K, K) the noise matrix, of each draw."""
    rng = np.random.default_rng(seed)
    n_classes = opinion.posterior.shape[1]
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    n_drawn = round(len(members) * min(1.0, settings["drawn_from"] / len(labels)))
    n_drawn = max(n_drawn, min(len(members), settings["fewest_groups"]))
    shares = np.empty((settings["n_resamples"], 1 + n_classes))
    matrices = np.empty((settings["n_resamples"], n_classes, n_classes))
    for draw in range(settings["n_resamples"]):
        rows = np.concatenate([members[group] for group in rng.integers(len(members), size=n_drawn)])
        scores, given = opinion.views[draw % len(opinion.views)][rows], labels[rows]
        counts = opinion.counts[rows]
        anchors = find_anchors(softmax(scores[counts]), given[counts], **noise_model["anchors"])
        fit = fit_noise(scores[counts], given[counts], anchors, settings=noise_model, start=opinion.noise)
        wrong = 1 - fit.posterior(scores, given)[np.arange(len(given)), given]
        shares[draw], matrices[draw] = _shares(wrong, given, n_classes), fit.transition
    unknown = rng.normal(scale=settings["unknown"], size=len(shares))[:, None]
    factor = np.sqrt(n_drawn / len(members))
    flat = _narrowed(matrices.reshape(len(matrices), -1), len(opinion.views), factor)
    return _narrowed(shares, len(opinion.views), factor) + unknown, flat.reshape(matrices.shape)


def _narrowed(draws: np.ndarray, n_views: int, factor: float) -> np.ndarray:
    """Draws of fewer patients than there are vary too much; what tells one view from another stays."""
    narrowed = draws.copy()
    for view in range(min(n_views, len(draws))):
        mine = draws[view::n_views]
        middle = _mean(mine)
        narrowed[view::n_views] = middle + factor * (mine - middle)
    return narrowed


def _mean(draws: np.ndarray) -> np.ndarray:
    """Column means of what is known; 0 where nothing is."""
    known = ~np.isnan(draws)
    return np.where(known, draws, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _quantiles(draws: np.ndarray, tails: list[float]) -> np.ndarray:
    """(2, n) how far the tails lie from the mean; all that is possible where fewer than half of the draws know."""
    known = ~np.isnan(draws)
    spread = np.where(known, draws - _mean(draws), 0)
    return np.where(known.mean(axis=0) >= 0.5, np.quantile(spread, tails, axis=0), np.array([[-1.0], [1.0]]))


def _shares(wrong: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(1 + K,) mean probability of an error, in all and among the labels of each class; NaN where there are none."""
    sizes = np.bincount(labels, minlength=n_classes)
    of_class = np.where(sizes > 0, np.bincount(labels, wrong, minlength=n_classes) / np.maximum(sizes, 1), np.nan)
    return np.append(wrong.mean(), of_class)
