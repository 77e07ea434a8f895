"""What several readers saw -> what it most likely was, and how each of them errs (Dawid and Skene 1979).

"Maximum likelihood estimation of observer error-rates using the EM algorithm", J. R. Stat. Soc. C 28(1), 20-28,
doi:10.2307/2346806. Own code, as crowd-kit, which has it too, brings transformers, nltk and pyarrow with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

_TINY = 1e-10  # in place of a probability of zero, whose logarithm is none
_STILL = 1e-6  # the largest change of a probability at which the steps end
_MOST_STEPS = 2000


class Estimate(NamedTuple):
    """The end of the steps.

    Attributes:
        probabilities: (N, K) of the classes given all votes, eq. 2.5; `prior` where nobody voted.
        confusions: (R, K, K), [r, j, l]: how often reader r says l where the class is j, eq. 2.3.
        prior: (K,) shares of the classes, eq. 2.4.
        n_steps: of which each raises the likelihood.
    """

    probabilities: np.ndarray
    confusions: np.ndarray
    prior: np.ndarray
    n_steps: int


def dawid_skene(votes: np.ndarray, *, n_classes: int) -> Estimate:
    """EM from the shares of votes on, as section 3 of the paper starts it.

    Scans with the same votes are one row with a weight, so that the steps hang on how many kinds of votes there are.

    Args:
        votes: (N, R) int codes in [0, K), -1 where a reader did not look; each scan may have its own readers.
        n_classes: K.

    Raises:
        ValueError: fewer than three readers. Two have (2K + 1)(K - 1) parameters and K^2 - 1 observed frequencies: any
            disagreement may be the error of either.
    """
    n_readers = votes.shape[1]
    if n_readers < 3:
        raise ValueError(f"there are {n_readers} readers; whose error a disagreement is takes at least three to tell")
    # Ten times as fast as np.unique of rows
    kind_of = pd.DataFrame(votes).groupby(list(range(n_readers))).ngroup().to_numpy()
    _, first, sizes = np.unique(kind_of, return_index=True, return_counts=True)
    kinds = votes[first]
    weights = sizes * (kinds >= 0).any(axis=1)
    said = _indicators(kinds, n_classes)
    # (U, K) votes for each class, summed over the readers
    counts = sum(said[:, r * n_classes : (r + 1) * n_classes] for r in range(n_readers)).toarray()  # type: ignore[union-attr]
    probabilities = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    confusions, prior = _maximized(said, probabilities, weights)
    n_steps, change = 0, 1.0
    while change > _STILL and n_steps < _MOST_STEPS:
        before, probabilities = probabilities, _expected(said, confusions, prior)
        confusions, prior = _maximized(said, probabilities, weights)
        change = np.abs(probabilities - before)[weights > 0].max(initial=0)
        n_steps += 1
    return Estimate(probabilities[kind_of], confusions, prior, n_steps)


def _indicators(votes: np.ndarray, n_classes: int) -> sparse.csr_array:
    """(U, R K) ones where a reader gave a class."""
    rows, readers = np.nonzero(votes >= 0)
    columns = readers * n_classes + votes[rows, readers]
    shape = (len(votes), votes.shape[1] * n_classes)
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def _maximized(said: sparse.csr_array, probabilities: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error rates of the readers and shares of the classes, eqs. 2.3 and 2.4."""
    n_classes = probabilities.shape[1]
    weighted = probabilities * weights[:, None]
    # (R K, K): how often each reader said each class, shared out over what it may have been -> [r, j, l]
    confusions = (said.T @ weighted).reshape(-1, n_classes, n_classes).transpose(0, 2, 1)
    confusions = np.maximum(confusions / np.maximum(confusions.sum(axis=2, keepdims=True), _TINY), _TINY)
    return confusions, np.maximum(weighted.sum(axis=0) / max(weights.sum(), 1), _TINY)


def _expected(said: sparse.csr_array, confusions: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(U, K) probabilities of the classes, eq. 2.5: prior times the error rates of all votes, in logarithms."""
    logs = np.log(confusions).transpose(0, 2, 1).reshape(-1, len(prior))
    log_joint = said @ logs + np.log(prior)
    joint = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return joint / joint.sum(axis=1, keepdims=True)
