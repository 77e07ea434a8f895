"""The scans farthest from all that were answered: k-centre, greedy (Sener & Savarese 2018, arXiv 1708.00489, alg. 1)."""

from __future__ import annotations

import numpy as np

from ssl_robust.neighbors import UnitRows
from ssl_robust.relabel.sampler import Pool

_FULL_TURN = 4.0  # largest squared distance of rows of length one
_BLOCK = 1024  # centres compared together


def score(pool: Pool) -> np.ndarray:
    """(N,) in [0, 1]: the distance at which a scan was chosen, for others that to the nearest centre, halved.

    Distances are those of the centred unit vectors. Memory grows with N, never with N^2: a row of distances a choice.
    """
    rows = UnitRows(pool.vectors, center=True).take(slice(None))
    nearest = np.full(len(pool), _FULL_TURN, dtype=np.float32)
    for start in range(0, int(pool.answered.sum()), _BLOCK):
        centres = rows[np.flatnonzero(pool.answered)[start : start + _BLOCK]]
        nearest = np.minimum(nearest, (2 - 2 * (rows @ centres.T)).min(axis=1))
    nearest[pool.answered] = 0
    if not pool.answered.any():  # the first centre is the scan next to the middle of all
        nearest[int((rows @ rows.mean(axis=0)).argmax())] += 1
    chosen = np.zeros(len(pool))
    for _ in range(min(pool.wanted, int((~pool.answered).sum()))):
        centre = int(nearest.argmax())
        chosen[centre] = 1 + min(float(nearest[centre]), _FULL_TURN) / _FULL_TURN
        nearest = np.minimum(nearest, 2 - 2 * (rows @ rows[centre]))
        nearest[chosen > 0] = -1
    rest = np.clip(nearest, 0, _FULL_TURN) / _FULL_TURN
    return np.where(chosen > 0, chosen, rest) / 2
