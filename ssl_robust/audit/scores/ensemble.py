"""The default: the probability that a label is wrong, by Bayes' rule from probes and the noise matrix."""

from __future__ import annotations

import numpy as np

from ssl_robust.audit.evidence import Evidence


def ensemble(evidence: Evidence) -> np.ndarray:
    """p(true class is not the given one | scan, given label), see `noise.opinion`.

    p(true | scan, given) is proportional to p(true | scan) T[true, given]: a label that other classes are often taken
    for needs less to be suspect than one that is never given by mistake, so that neither rare classes nor those that
    errors flow into are misjudged.

    Args:
        evidence: of N samples.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; a probability.
    """
    return evidence.opinion.wrong(evidence.labels)
