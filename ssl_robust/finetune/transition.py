"""The noise matrix between what a model says of a scan and the labels as given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ssl_robust.noise.transitions import checked_matrix
from ssl_robust.records import TrainInfo


def assumed_transition(matrix: Sequence[Sequence[float]] | None, info: TrainInfo) -> Tensor:
    """The noise matrix that a strategy reckons with: as its configuration says, or as the features tell.

    Args:
        matrix: `transition`, T[true, given]; None: estimated.
        info: as given to `start`.

    Returns:
        (K, K) float32, rows sum to one.

    Raises:
        ValueError: another shape, rows that do not sum to one, or a label as given that nothing could have become.
    """
    if matrix is None:
        result = np.asarray(info.believe().transition)
    else:
        result = checked_matrix(matrix, info.n_classes, name="transition")
    for code in np.unique(info.labels.numpy()):
        if not result[:, code].any():
            raise ValueError(
                f"column {code + 1} of transition is zero, yet {int((info.labels == code).sum())} samples bear that "
                "label; expected a chance above zero that some class is called so"
            )
    return torch.as_tensor(result, dtype=torch.float32)


def noisy_log_probabilities(logits: Tensor, log_transition: Tensor, labels: Tensor) -> Tensor:
    """log p(label as given) = log of the sum over true classes j of p_j T[j, label].

    Args:
        logits: (B, K) of the true classes.
        log_transition: (K, K) logarithms of T[true, given], -inf for what never happens.
        labels: (B,) as given.

    Returns:
        (B,).
    """
    return (logits.log_softmax(dim=1) + log_transition[:, labels].T).logsumexp(dim=1)
