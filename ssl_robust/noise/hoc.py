"""The noise of labels from how often a sample and its two nearest neighbours agree: no clean label, no classifier."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ssl_robust.noise.estimate import NoiseEstimate, checked_labels, checked_weights
from ssl_robust.records import Neighbors

_MAX_CYCLES = 1000  # of three EM steps each
_TOLERANCE = 1e-5  # a cycle that changes no probability by more is the last
_LONGEST = 1e3  # of an extrapolation, in EM steps
_TINY = 1e-300  # its logarithm is finite


def hoc(
    neighbors: Neighbors,
    labels: np.ndarray,
    *,
    n_classes: int,
    pseudo_samples: float,
    weights: np.ndarray | None = None,
) -> NoiseEstimate:
    """Neighbours and labels as given -> the noise of these labels.

    High-order consensus, Zhu et al. 2021, arXiv 2102.05291: where a sample and its two nearest neighbours are of one
    true class, their labels are three independent draws from one row of T, so that the consensus of first, second and
    third order (how often one, two and three labels are such and such) determines T and the prior. The paper fits the
    three tables by gradient descent on squared differences. Here the likelihood of the third, which holds the other
    two, is maximised: it is a latent class model, and EM (Dawid and Skene 1979, doi 10.2307/2346806) weighs each cell
    by how often it was seen, has no learning rate, and takes a missing neighbour for what it is, one label less.

    A neighbour of another true class looks like a wrong label, so the rate is too high by what the vectors confuse.

    Args:
        neighbors: (N, k), k at least two, the own group left out; only the two nearest count, -1 = none.
        labels: (N,) ints in [0, K), as given (perhaps wrong).
        n_classes: K.
        pseudo_samples: samples that speak for the true classes being as frequent as the given ones; 0 = the likelihood
            alone, which is flat where labels say little and then leaves classes without a sample.
        weights: (N,) how often each sample counts (a bootstrap over patients); None: once.

    Raises:
        ValueError: lengths differ (the message states both), a label or weight that cannot be, or k below two.
    """
    nearest = np.asarray(neighbors.indices)
    if nearest.ndim != 2 or nearest.shape[1] < 2:
        raise ValueError(f"neighbors have shape {nearest.shape}; expected (N, k) with k of at least 2")
    labels = checked_labels(labels, len(nearest), n_classes)
    weights = checked_weights(weights, len(labels))
    # A class without a label cannot be told from one that does not exist: it stays out of the model.
    present, codes = np.unique(labels, return_inverse=True)
    beside = np.where(nearest[:, :2] >= 0, codes[nearest[:, :2]], len(present))
    patterns, counts = _consensus(np.column_stack([codes, beside]), weights, len(present))
    shares = np.bincount(codes, weights) / weights.sum()
    start = _start(codes, beside, weights, shares)
    prior, transition = _accelerated(start, patterns, counts, pseudo_samples * shares)
    # The model does not name its classes. Where the noise is informative (the paper's condition: the true label is the
    # likeliest in its row), the names with the fewest wrong labels are right.
    found = prior[:, None] * transition
    _, named = linear_sum_assignment(-found)
    joint = np.zeros((n_classes, n_classes))
    joint[np.ix_(present[named], present)] = found
    return NoiseEstimate.from_joint(joint)


def _consensus(codes: np.ndarray, weights: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Which labels stand together, (P, K) how often each, and (P,) the samples so seen; order does not matter.

    Codes are (N, 3), the sample's own and its neighbours', K where there is none.
    """
    base = n_classes + 1
    first, second, third = np.sort(codes, axis=1).T
    seen = np.bincount((first * base + second) * base + third, weights, minlength=base**3)
    cells = np.flatnonzero(seen)
    together = np.column_stack([cells // base**2, cells // base % base, cells % base])
    return (together[:, :, None] == np.arange(n_classes)).sum(axis=1).astype(np.float64), seen[cells]


def _start(
    codes: np.ndarray, beside: np.ndarray, weights: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Prior and T to begin with: the given shares, and the consensus of second order halfway to no noise at all."""
    n_classes = len(shares)
    pairs = np.bincount(
        (codes[:, None] * (n_classes + 1) + beside).ravel(),
        np.repeat(weights, 2),
        minlength=n_classes * (n_classes + 1),
    )
    seen = pairs.reshape(n_classes, n_classes + 1)[:, :n_classes] + shares
    return shares, (np.eye(n_classes) + seen / seen.sum(axis=1, keepdims=True)) / 2


def _accelerated(
    start: tuple[np.ndarray, np.ndarray], patterns: np.ndarray, counts: np.ndarray, pseudo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """EM to its end, every third step from where the two before it lead (SQUAREM).

    Varadhan and Roland 2008, doi 10.1111/j.1467-9469.2007.00585.x, scheme S3; EM alone needs thousands of steps where
    noise is high. The likelihood never falls: an extrapolation that lowers it is dropped.
    """
    old = np.vstack(start)  # (1 + K, K) the prior above T
    for _ in range(_MAX_CYCLES):
        first, _ = _em_step(old, patterns, counts, pseudo)
        second, likelihood = _em_step(first, patterns, counts, pseudo)
        change, bend = first - old, second - 2 * first + old
        length = np.clip(np.linalg.norm(change) / max(np.linalg.norm(bend), _TINY), 1, _LONGEST)
        far = old + 2 * length * change + length**2 * bend
        far = np.where(far > 0, far, second)  # a probability that leaves its range stays where EM has it
        new, reached = _em_step(far / far.sum(axis=1, keepdims=True), patterns, counts, pseudo)
        new = new if reached >= likelihood else second
        if np.abs(new - old).max() < _TOLERANCE:
            break
        old = new
    return new[0], new[1:]


def _em_step(
    theta: np.ndarray, patterns: np.ndarray, counts: np.ndarray, pseudo: np.ndarray
) -> tuple[np.ndarray, float]:
    """The next prior and T, and the log-likelihood (with pseudo-samples) of those given."""
    log_prior, *log_rows = np.log(np.maximum(theta, _TINY))
    logs = patterns @ np.array(log_rows).T + log_prior  # (P, K)
    largest = logs.max(axis=1, keepdims=True)
    parts = np.exp(logs - largest)
    totals = parts.sum(axis=1, keepdims=True)
    likelihood = counts @ (largest + np.log(totals))[:, 0] + pseudo @ log_prior
    members = counts[:, None] * parts / totals
    found = np.vstack([members.sum(axis=0) + pseudo, members.T @ patterns])
    sums = found.sum(axis=1, keepdims=True)
    return np.divide(found, sums, out=theta.copy(), where=sums > 0), float(likelihood)
