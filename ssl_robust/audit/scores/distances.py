"""How near the own class is, and how near the others are."""

from __future__ import annotations

import numpy as np

from ssl_robust.audit.evidence import Evidence
from ssl_robust.neighbors import nearest_by_class

_FARTHEST = 2.0  # largest cosine distance


def intra_extra(evidence: Evidence) -> np.ndarray:
    """d_same^2 / (d_same^2 + d_diff^2) with cosine distances to the nearest sample of the own and of another class.

    Groeger et al. 2024 (SelfClean), arXiv 2305.17048, where the ratio is d_diff^2 / (…) and lower = more
    suspect. Ours: vectors are centred where the audit's are, the own patient is left out, and who has no company in
    its class is as far from it as can be (there: as from the farthest other sample).

    Args:
        evidence: its neighbours hold most of the nearest; the others are searched for.

    Returns:
        (N,) float in [0, 1], higher = more likely mislabelled; one half between two duplicates with different labels;
        0 for a sample outside of whose group there is no other class.
    """
    same, other = nearest_by_class(evidence.unit, evidence.labels, evidence.groups, evidence.neighbors)
    to_same = np.where(np.isneginf(same), _FARTHEST, np.clip(1 - same.astype(np.float64), 0, None)) ** 2
    to_other = np.clip(1 - other.astype(np.float64), 0, None) ** 2  # infinite where there is none
    total = to_same + to_other
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, to_same / total, 0.5)
