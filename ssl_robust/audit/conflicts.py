"""The same picture under two labels: one of them is wrong, whatever the features make of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ssl_robust.noise.opinion import Opinion

_LEAST = 1e-12


def sure_errors(labels: np.ndarray, pictures: np.ndarray | None) -> int:
    """How many labels are wrong for sure: of the labels of one picture, all but one.

    Args:
        labels: (N,) ints, as given.
        pictures: (N,) codes from 0 of samples that show one picture, -1 for the others; None: no two do.
    """
    if pictures is None or not (pictures >= 0).any():
        return 0
    pairs = np.unique(np.stack([pictures, labels])[:, pictures >= 0], axis=1)[0]
    return len(pairs) - len(np.unique(pairs))


def settle_conflicts(opinion: Opinion, labels: np.ndarray, pictures: np.ndarray) -> Opinion:
    """Samples that show one picture have one true class, which all of their labels speak of.

    p(true | picture, labels) is proportional to p(true | scans) times T[true, given] of each label that the picture
    has. A label counts once however often it was copied: copies are no witnesses. So pictures under one label stay as
    they are, and the probabilities that a label is wrong sum to at least one less than the number of labels.

    Args:
        opinion: of N labels.
        labels: (N,) ints in [0, K), as given.
        pictures: (N,) codes from 0 of samples that show one picture, -1 for the others.
    """
    members = np.flatnonzero(pictures >= 0)
    if not len(members):
        return opinion
    codes = np.unique(pictures[members], return_inverse=True)[1]
    n_pictures, n_classes = int(codes.max()) + 1, opinion.posterior.shape[1]
    has = np.zeros((n_pictures, n_classes), dtype=bool)
    has[codes, labels[members]] = True
    log_t = np.log(opinion.noise.transition + _LEAST)
    seen = np.zeros((n_pictures, n_classes))
    # What the scan alone says: without the label that the posterior of a sample has in it.
    np.add.at(seen, codes, np.log(opinion.posterior[members] + _LEAST) - log_t[:, labels[members]].T)
    seen /= np.bincount(codes)[:, None]
    together = seen + has @ log_t.T
    together = np.exp(together - together.max(axis=1, keepdims=True))
    together /= together.sum(axis=1, keepdims=True)
    in_conflict = has.sum(axis=1)[codes] > 1
    posterior = opinion.posterior.copy()
    posterior[members[in_conflict]] = together[codes[in_conflict]]
    return replace(opinion, posterior=posterior)
