"""Weighted nearest neighbours and logistic regression, fitted on some vectors and asked about others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from ssl_robust import metrics, neighbors

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of scikit-learn, weakest first; 0.01 suits hundreds of dimensions
_FOLDS = 3


def knn_predict(
    reference_vectors: np.ndarray,
    reference_labels: np.ndarray,
    vectors: np.ndarray,
    *,
    k: int,
    n_classes: int,
    temperature: float,
) -> np.ndarray:
    """Class probabilities by a vote of the k nearest reference vectors, each weighted by exp(cosine / temperature).

    Wu et al. 2018, arXiv 1805.01978, section 3.4 (there k = 200, temperature 0.07).

    Args:
        reference_vectors: (M, D).
        reference_labels: (M,) ints in [0, K); -1 = no label, left out of the vote.
        vectors: (N, D), none of them among the reference.
        k: voters, fewer where the reference is smaller.
        n_classes: K.
        temperature: above zero; smaller = the nearest decide.

    Returns:
        (N, K) float32, rows sum to one.

    Raises:
        ValueError: lengths differ (the message states both), or no reference vector has a label.
    """
    reference_labels = _checked(reference_vectors, reference_labels)
    labelled = reference_labels >= 0
    if not labelled.all():
        reference_vectors, reference_labels = np.asarray(reference_vectors)[labelled], reference_labels[labelled]
    if len(reference_labels) == 0:
        raise ValueError("no reference vector has a label, so there is nobody to vote")
    found = neighbors.query(reference_vectors, vectors, k=min(k, len(reference_labels)))
    # Relative to the nearest, so that a small temperature does not overflow.
    weights = np.exp((found.similarities - found.similarities[:, :1]) / temperature)
    votes = np.zeros((len(vectors), n_classes), dtype=np.float64)
    np.add.at(votes, (np.arange(len(vectors))[:, None], reference_labels[found.indices]), weights)
    return (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)


def logistic_probe(
    train_vectors: np.ndarray,
    train_labels: np.ndarray,
    test_vectors: np.ndarray,
    *,
    n_classes: int,
    groups: np.ndarray | None = None,
    seed: int,
) -> np.ndarray:
    """Class probabilities by multinomial logistic regression with classes weighted alike.

    Features are standardised with the training split's mean and deviation. The strength of the penalty is the one
    with the best balanced accuracy in a threefold cross-validation inside the training split, in which a group is
    never on both sides.

    Args:
        train_vectors: (M, D).
        train_labels: (M,) ints in [0, K); -1 = no label, left out.
        test_vectors: (N, D).
        n_classes: K; a class without a training sample gets probability zero.
        groups: (M,) patient codes for the cross-validation; every sample its own where None.
        seed: of the folds.

    Returns:
        (N, K) float32, rows sum to one.

    Raises:
        ValueError: lengths differ (the message states both), or no training vector has a label.
    """
    train_labels = _checked(train_vectors, train_labels)
    labelled = train_labels >= 0
    if not labelled.any():
        raise ValueError("no training vector has a label, so there is nothing to fit")
    groups = np.arange(len(train_labels)) if groups is None else np.asarray(groups)
    vectors = np.asarray(train_vectors, dtype=np.float32)[labelled]
    labels, groups = train_labels[labelled], groups[labelled]
    strength = _best_strength(vectors, labels, groups, n_classes=n_classes, seed=seed)
    return _fit_predict(vectors, labels, np.asarray(test_vectors), strengths=(strength,), n_classes=n_classes)[0]


def _best_strength(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_classes: int, seed: int) -> float:
    """The strength with the best out-of-fold balanced accuracy; the stronger penalty wins ties."""
    if len(np.unique(groups)) < _FOLDS or len(np.unique(labels)) < 2:
        return _STRENGTHS[1]
    with warnings.catch_warnings():
        # A class with fewer samples than folds is missing from some of them, which the measure allows for.
        warnings.filterwarnings("ignore", message="The least populated class")
        splitter = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
        try:
            folds = list(splitter.split(vectors, labels, groups))
        except ValueError:  # every class has fewer samples than there are folds
            return _STRENGTHS[1]
    predicted = np.full((len(_STRENGTHS), len(labels)), -1)
    for inside, outside in folds:
        fits = _fit_predict(
            vectors[inside], labels[inside], vectors[outside], strengths=_STRENGTHS, n_classes=n_classes
        )
        predicted[:, outside] = fits.argmax(axis=2)
    recalls = [metrics.class_recalls(labels, each, n_classes=n_classes) for each in predicted]
    return _STRENGTHS[int(np.argmax(np.nanmean(recalls, axis=1)))]


def _fit_predict(
    vectors: np.ndarray, labels: np.ndarray, others: np.ndarray, *, strengths: Sequence[float], n_classes: int
) -> np.ndarray:
    """(S, M, K) probabilities of other vectors for each strength; each fit begins where the one before ended."""
    present = np.unique(labels)
    probabilities = np.zeros((len(strengths), len(others), n_classes), dtype=np.float32)
    if len(present) == 1:
        probabilities[..., present[0]] = 1
        return probabilities
    scaler = StandardScaler().fit(vectors)
    scaled, scaled_others = scaler.transform(vectors), scaler.transform(others)
    model = LogisticRegression(class_weight="balanced", max_iter=300, tol=1e-3, warm_start=True)
    for strength, found in zip(strengths, probabilities, strict=True):
        with warnings.catch_warnings():
            # 300 steps are past the point where the predictions still move; the exact optimum is not needed.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(C=strength).fit(scaled, labels)
        found[:, present] = model.predict_proba(scaled_others)
    return probabilities


def _checked(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (len(vectors),):
        raise ValueError(f"there are {len(vectors)} vectors and labels of shape {labels.shape}; expected one each")
    return labels
