"""How good are embeddings? Measures that need no label, most of them read off a spectrum."""

from __future__ import annotations

import numpy as np

_CHUNK = 65_536
_HEAD, _TAIL = 0.02, 0.5  # shares of the spectrum between which its decay is read off
_FEWEST = 7  # eigenvalues above zero of which a decay can be read off


def effective_rank(vectors: np.ndarray) -> float:
    """RankMe: exp of the entropy of the normalised singular values, in [1, min(N, D)], higher = less collapsed.

    Garrido et al. 2022, arXiv 2210.02885, eq. 1-2: p_k = sigma_k / ||sigma||_1 + 1e-7, exp(-sum_k p_k log p_k). The
    singular values come from the D x D second moments, gathered in chunks, so that N may be large.

    Args:
        vectors: (N, D) embeddings, not centred (as in the paper).

    Returns:
        The effective rank; 0.0 where every vector is zero.
    """
    vectors = np.asarray(vectors)
    moments = _moments(vectors, np.zeros(vectors.shape[1]))
    sigma = np.sqrt(np.clip(np.linalg.eigvalsh(moments), 0, None))[-min(vectors.shape) :]
    return _entropy_rank(sigma)


def feature_spread(vectors: np.ndarray) -> float:
    """Mean over dimensions of the standard deviation of the L2-normalised vectors, times sqrt(D); 0 = collapsed.

    Chen and He 2021, arXiv 2011.10566, section 4.1: isotropic features reach 1, a constant output 0.

    Args:
        vectors: (N, D) embeddings.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(norms, 1e-12)
    return float(unit.std(axis=0, dtype=np.float64).mean() * np.sqrt(vectors.shape[1]))


def lidar(views: np.ndarray) -> float:
    """LiDAR: the effective rank of what tells scans apart beyond what varies between views of one scan.

    Thilak et al. 2023, arXiv 2312.04000, eq. 2-5: with the scans as classes, eigenvalues of
    S_w^(-1/2) S_b S_w^(-1/2) for the covariance S_b of the scans' means and the mean covariance S_w of views around
    them, plus 1e-4 on its diagonal; their rank as in RankMe. The paper takes 1,000 scans and 50 views. With fewer than
    D views around their means, N (Q - 1), S_w is nothing along some directions, and what scans do there dominates.

    Args:
        views: (N, Q, D) embeddings of Q >= 2 views of each scan.

    Returns:
        In [1, min(N - 1, D)], higher = better; 0.0 where all scans coincide, as a single one does; NaN where
        embeddings are so large that 1e-4 is lost in rounding, as those of a training that diverges.
    """
    from scipy.linalg import LinAlgError, eigh

    means = views.mean(axis=1, dtype=np.float64)
    between = _moments(means, means.mean(axis=0)) / len(means)
    around = (views - means[:, None]).reshape(-1, views.shape[2])
    within = _moments(around, np.zeros(views.shape[2])) / len(around)
    try:
        values = eigh(between, within + 1e-4 * np.eye(len(within)), eigvals_only=True)
    except LinAlgError:
        return float("nan")
    return _entropy_rank(np.clip(values, 0, None)[-min(len(views) - 1, len(values)) :])


def spectral_decay(vectors: np.ndarray) -> float:
    """alpha-ReQ: the exponent by which the eigenvalues of the covariance fall, lambda_i ~ i^-alpha; 1 is held for best.

    Agrawal et al., NeurIPS 2022, section 3: below 1 features are noisy, above they span few directions. A straight line
    through log lambda over log i, each decade weighing alike, between 2 % and half of the spectrum: the first
    eigenvalues are the set's own few large factors and the last ones are bent down by the number of samples.

    Args:
        vectors: (N, D) embeddings.

    Returns:
        alpha; NaN for fewer than 8 vectors or 7 dimensions, and where they span fewer directions than it takes.
    """
    vectors = np.asarray(vectors)
    values = np.linalg.eigvalsh(_moments(vectors, vectors.mean(axis=0, dtype=np.float64)))[::-1]
    n = min(len(vectors) - 1, len(values))
    if n < _FEWEST:
        return float("nan")
    index = np.unique(np.geomspace(max(1, _HEAD * n), max(2, _TAIL * n), 50).round().astype(int))
    chosen = values[index - 1]
    if not (chosen > 1e-12 * values[0]).all():
        return float("nan")
    return float(-np.polyfit(np.log(index), np.log(chosen), 1)[0])


def _moments(vectors: np.ndarray, center: np.ndarray) -> np.ndarray:
    """(D, D) sum of (v - center) (v - center)^T over the vectors, chunk by chunk."""
    moments = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), _CHUNK):
        chunk = np.asarray(vectors[start : start + _CHUNK], dtype=np.float64) - center
        moments += chunk.T @ chunk
    return moments


def _entropy_rank(values: np.ndarray) -> float:
    """exp of the entropy of values >= 0 as shares, 0.0 where all are zero."""
    if not values.sum() > 0:
        return 0.0
    p = values / values.sum() + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))
