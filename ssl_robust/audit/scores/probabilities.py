"""What a probe that never saw the sample says of its label."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from ssl_robust.audit.evidence import Evidence
from ssl_robust.audit.scores.bounded import from_signed

_LEAST = np.finfo(np.float32).tiny  # a probability that was rounded to zero


def self_confidence(evidence: Evidence) -> np.ndarray:
    """1 - p(given label), out of fold.

    Confident learning, Northcutt et al. 2021, arXiv 1911.00068, section 3; cleanlab's quality is p(given label).

    Args:
        evidence: its probabilities.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled.
    """
    return 1 - _own(evidence)


def normalized_margin(evidence: Evidence) -> np.ndarray:
    """(1 - (p(given label) - the largest other probability)) / 2, out of fold.

    Northcutt et al. 2021, arXiv 1911.00068, section 3; 1 - cleanlab's quality.

    Args:
        evidence: its probabilities.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; above one half = another class is more likely.
    """
    others = evidence.probabilities.astype(np.float64)
    others[np.arange(len(evidence)), evidence.labels] = -np.inf
    return (1 - (_own(evidence) - others.max(axis=1))) / 2


def joint(evidence: Evidence, *, tolerated_entropy: float) -> np.ndarray:
    """CE(label, p) - max(H(p) - tolerated entropy, 0), mapped by `bounded.from_signed`: wrong, but not ambiguous.

    Bernhardt et al. 2022, Nature Communications 13:1161. A scan that no probe can place costs an expert
    time and gains little, so that what is beyond an entropy of `tolerated_entropy` nats is taken off.

    Args:
        evidence: its probabilities.
        tolerated_entropy: not negative.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled.
    """
    probabilities = evidence.probabilities.astype(np.float64)
    entropy = -xlogy(probabilities, probabilities).sum(axis=1)
    own = np.maximum(_own(evidence), _LEAST)
    return from_signed(-np.log(own) - np.maximum(entropy - tolerated_entropy, 0))


def _own(evidence: Evidence) -> np.ndarray:
    """(N,) float64 probability of the given label."""
    return evidence.probabilities[np.arange(len(evidence)), evidence.labels].astype(np.float64)
