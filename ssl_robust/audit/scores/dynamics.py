"""What a classifier did with each label while it was trained on all of them; see `ssl_robust.noise.dynamics`.

A sample that the run did not train on (validation, test, another label than now) has nothing to say: it gets the median
of those that have, so that it is neither suspect nor cleared.
"""

from __future__ import annotations

import numpy as np

from ssl_robust.audit.evidence import Evidence
from ssl_robust.audit.scores.bounded import from_positive, from_signed


def aum(evidence: Evidence) -> np.ndarray:
    """Area under the margin: -(mean over epochs of the label's logit less the largest other), by `from_signed`.

    Pleiss et al. 2020, arXiv 2001.10528.

    Args:
        evidence: its dynamics hold `margin` (N, E).

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; above one half = another class was mostly preferred.

    Raises:
        ValueError: there are no dynamics.
    """
    return _neutral(from_signed(-_recorded(evidence, "margin").mean(axis=1)))


def mean_loss(evidence: Evidence) -> np.ndarray:
    """Cross-entropy of the label, mean over epochs, by `from_positive`.

    Its small values are what small-loss selection keeps (Han et al. 2018, arXiv 1804.06872); the mean over the whole
    training is steadier than any one epoch and holds the early ones, in which wrong labels are not yet learnt.

    Args:
        evidence: its dynamics hold `loss` (N, E).

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled.

    Raises:
        ValueError: there are no dynamics.
    """
    return _neutral(from_positive(_recorded(evidence, "loss").mean(axis=1)))


def vog(evidence: Evidence) -> np.ndarray:
    """Variance of gradients over the last epochs, by `from_positive`.

    Khanal et al. 2024 (MICCAI), arXiv 2407.05973, where the samples with the lowest are kept as clean.

    Args:
        evidence: its dynamics hold `vog` (N,).

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled.

    Raises:
        ValueError: there are no dynamics, or the run recorded no gradients.
    """
    return _neutral(from_positive(_recorded(evidence, "vog")))


def _recorded(evidence: Evidence, name: str) -> np.ndarray:
    """The float64 array of that name, some of whose rows are known.

    Raises:
        ValueError: it is not there, or all of it is NaN.
    """
    values = evidence.dynamics.get(name)
    if values is None and evidence.dynamics:
        raise ValueError(
            f"the finetune run of dynamics= recorded no {name}; give one of at least two epochs and "
            "trainer.gradients=true"
        )
    if values is None:
        raise ValueError(
            f"this score needs the {name} of a training; give dynamics=RUN, a finetune run on these labels"
        )
    if np.isnan(values).all():
        raise ValueError("the run of dynamics= was trained on none of these samples; give one on these labels")
    return np.asarray(values, dtype=np.float64)


def _neutral(scores: np.ndarray) -> np.ndarray:
    """NaN replaced by the median of the others."""
    return np.where(np.isnan(scores), np.nanmedian(scores), scores)
