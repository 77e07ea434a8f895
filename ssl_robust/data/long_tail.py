"""Class sizes of the training split made as unequal as they are in practice: a long tail with a stated ratio.

Class k of K, ordered by size, keeps n_k = n_max ratio^(-k / (K - 1)) scans, so that the largest class has `ratio` times
as many as the smallest (Cui et al. 2019, arXiv 1901.05555, section 5.1, where mu = ratio^(-1 / (K - 1))). A class that
is smaller already stays as it is, and the largest loses nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ssl_robust.run import UserError


def tail_sizes(sizes: np.ndarray, ratio: float) -> np.ndarray:
    """Class sizes -> those of the long tail.

    Args:
        sizes: (K,) scans of each class; 0 stays 0 and does not count as a class.
        ratio: of the largest class to the smallest, from 1 on.

    Returns:
        (K,) int64, at most `sizes`; of equal classes the first keeps more.
    """
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    exponents = np.arange(len(order)) / max(1, len(order) - 1)
    result = np.zeros(len(sizes), dtype=np.int64)
    result[order] = np.floor(sizes.max(initial=0) * float(ratio) ** -exponents + 0.5)
    return np.minimum(result, sizes)


def long_tail(
    labels: np.ndarray, patients: Sequence[Any] | np.ndarray, ids: Sequence[str] | np.ndarray, *, ratio: Any, seed: int,
    classes: Sequence[str],
) -> np.ndarray:  # fmt: skip
    """Rows of the training split that stay.

    Whole patients go or stay, in an order drawn by a hash of seed and patient; of one patient at the border of each
    class a part stays. A larger ratio keeps a part of what a smaller one keeps.

    Args:
        labels: (n,) codes of the training scans in [0, K); -1 = none, these stay.
        patients: (n,) who they show; a scan whose patient is unknown has its own.
        ids: (n,) their sample ids.
        ratio: `data.long_tail`.
        seed: of the order.
        classes: (K,) names.

    Returns:
        (m,) positions, ascending.

    Raises:
        UserError: no such ratio, or a class would lose its last scan.
    """
    number = isinstance(ratio, int | float) and not isinstance(ratio, bool)
    if not (number and 1 <= ratio < math.inf):
        raise UserError(f"data.long_tail={ratio} does not fit; expected how many times larger the largest class shall "
                        "be than the smallest, a number from 1 on, e.g. 50")  # fmt: skip
    sizes = np.bincount(labels[labels >= 0], minlength=len(classes))
    wanted = tail_sizes(sizes, ratio)
    lost = np.flatnonzero((wanted == 0) & (sizes > 0))
    if len(lost):
        raise UserError(f"data.long_tail={ratio} leaves no training scan of the class {classes[lost[0]]!r}, as the "
                        f"largest class has {sizes.max():,}; give less than {2 * sizes.max():,}")  # fmt: skip
    order = np.lexsort((_hashes(seed, ids), _hashes(seed, patients)))
    kept = [order[labels[order] == code][:size] for code, size in enumerate(wanted)]
    return np.sort(np.concatenate([*kept, np.flatnonzero(labels < 0)]))


def _hashes(seed: int, names: Sequence[Any] | np.ndarray) -> np.ndarray:
    """(n,) numbers that hang on the seed and a name alone."""
    digests = [hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogatepass"), digest_size=8) for name in names]
    return np.frombuffer(b"".join(each.digest() for each in digests), dtype="<u8")
