"""Evidence -> a score, a probability and a suggestion for each label, and how many labels are wrong in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_robust.audit.conflicts import sure_errors
from ssl_robust.audit.estimate import Estimate, estimate_errors
from ssl_robust.audit.gathered import Gathered
from ssl_robust.audit.scores.chosen import score

_DECIMALS = 6


@dataclass(frozen=True)
class Judged:
    """Row i of everything is the same labelled sample.

    Attributes:
        score: (N,) in [0, 1], higher = more likely mislabelled; neutral where the class cannot be judged.
        p_mislabeled: (N,) probability that the label is wrong, rising with the score; NaN where the class cannot be
            judged.
        suggested: (N,) ints: another class where the label is more likely wrong than right, else the given one.
        n_patients: (K,) patients with a label of each class.
        can_be_judged: (K,) bool, whether enough patients have labels of the class.
        estimate: of wrong labels among those that can be judged; None where no claim is possible.
        why: one sentence, then.
    """

    score: np.ndarray
    p_mislabeled: np.ndarray
    suggested: np.ndarray
    n_patients: np.ndarray
    can_be_judged: np.ndarray
    estimate: Estimate | None
    why: str | None


def judge_labels(gathered: Gathered, *, settings: Mapping[str, Any], seed: int) -> Judged:
    """Score all labels.

    Args:
        gathered: of N samples.
        settings: the nodes `score`, `estimate` and `noise_model` of the stage.
        seed: of the draws behind intervals.

    Raises:
        ValueError: the score lacks something.
    """
    evidence, limits = gathered.evidence, settings["estimate"]
    labels, rows = evidence.labels, np.arange(len(evidence))
    scores = np.asarray(score(evidence, settings["score"]), dtype=np.float64)
    wrong = evidence.opinion.wrong(labels)
    p_mislabeled = wrong if settings["score"]["_target_"].endswith(".ensemble") else _rising(scores, wrong)
    others = evidence.opinion.posterior.copy()
    others[rows, labels] = -1
    pairs = np.unique(np.stack([labels, gathered.evidence.groups]), axis=1)
    n_patients = np.bincount(pairs[0], minlength=evidence.n_classes)
    can_be_judged = n_patients >= limits["fewest_patients"]
    unknown = ~can_be_judged[labels]
    suggested = np.where((p_mislabeled >= 0.5) & ~unknown, others.argmax(axis=1), labels)
    scores = np.where(unknown, scores[~unknown].mean() if not unknown.all() else 0.5, scores)
    p_mislabeled = np.where(unknown, np.nan, p_mislabeled)
    why = _why_no_claim(evidence.labels, can_be_judged, gathered, limits)
    estimate = None
    if why is None:
        known = np.flatnonzero(~unknown)
        drawn = np.unique(gathered.patients[known], return_inverse=True)[1]
        estimate = estimate_errors(evidence.opinion.of(known), labels[known], drawn, settings=limits,
                                   noise_model=settings["noise_model"], seed=seed,
                                   least=sure_errors(labels, evidence.pictures))  # fmt: skip
    return Judged(scores, p_mislabeled.round(_DECIMALS), suggested, n_patients, can_be_judged, estimate, why)


def _why_no_claim(
    labels: np.ndarray, can_be_judged: np.ndarray, gathered: Gathered, limits: Mapping[str, Any]
) -> str | None:
    n_patients = int(gathered.patients.max()) + 1
    if len(labels) < limits["fewest_labels"]:
        return f"{len(labels):,} labels are too few to say how many of them are wrong"
    if n_patients < limits["fewest_groups"]:
        return f"{n_patients:,} patients are too few to say how many labels are wrong"
    if can_be_judged.sum() < 2:
        return "fewer than two classes have enough patients to say how many labels are wrong"
    return None


def _rising(scores: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Probabilities that rise with another score: isotonic regression (Zadrozny & Elkan 2002) of what is believed."""
    from sklearn.isotonic import IsotonicRegression

    return np.asarray(IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, wrong).predict(scores))
