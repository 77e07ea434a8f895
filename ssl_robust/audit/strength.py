"""How many other patients are near a scan: where there are few, whatever is said of its label rests on little."""

from __future__ import annotations

import numpy as np

from ssl_robust.records import Neighbors

_BLOCK = 4096  # samples looked at together


def effective_voters(neighbors: Neighbors, groups: np.ndarray, *, temperature: float) -> np.ndarray:
    """The effective number of other patients among the neighbours of each scan: (sum w)^2 / sum w^2.

    w is the weight of all neighbours of one patient, each weighing exp(cosine similarity / temperature) as in
    `vote_shares` (Kish 1965, Survey Sampling, section 11.7). Fifty neighbours of two patients are two opinions.

    Args:
        neighbors: (N, k) outside of the own group.
        groups: (N,) ints; patients, merged where they share a picture.
        temperature: of the votes.

    Returns:
        (N,) float from 1 to k with two decimals, 0 where there is no neighbour.
    """
    found = np.zeros(len(groups))
    for start in range(0, len(groups), _BLOCK):
        block = slice(start, start + _BLOCK)
        similar = neighbors.similarities[block].astype(np.float64)
        nearest = np.where(np.isneginf(similar[:, :1]), 0, similar[:, :1])
        weights = np.exp((similar - nearest) / temperature)  # -inf, no neighbour, weighs nothing
        voters = groups[neighbors.indices[block]]
        # The sum of squares over patients is the sum of the products of all pairs of votes of one patient.
        same = voters[:, :, None] == voters[:, None, :]
        squares = np.einsum("na,nb,nab->n", weights, weights, same, optimize=True)
        found[block] = weights.sum(axis=1) ** 2 / np.maximum(squares, np.finfo(float).tiny)
    return found.round(2)
