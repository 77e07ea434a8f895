import numpy as np
import pytest

from ssl_robust import neighbors
from ssl_robust.audit.evidence import Evidence
from ssl_robust.neighbors import UnitRows


@pytest.fixture
def make_evidence():
    """Vectors, labels and what else is known -> an `Evidence`, with probabilities that see the vectors alone."""

    def make(vectors, labels, groups=None, *, n_classes=3, k=12, probabilities=None, dynamics=None):
        vectors, labels = np.asarray(vectors, dtype=np.float32), np.asarray(labels)
        groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
        found = neighbors.search(vectors, k=k, groups=groups)
        made = Evidence(UnitRows(vectors), labels, groups, n_classes, found, seed=0, dynamics=dynamics or {})
        vars(made)["probabilities"] = probabilities
        return made

    return make
