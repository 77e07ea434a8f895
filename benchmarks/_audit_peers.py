"""The peers of audit_quality.py: scores of single labels, higher = more likely wrong, as their own users get them.

cleanlab is the installed package. The others are formulas of their papers, written from those; nothing of their code is
used. None of them knows patients, so that none is given them, but for the rows "grouped folds", which show what folds
alone bring.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from ssl_robust import neighbors

_TINY = 1e-12


@dataclass(frozen=True)
class Verdict:
    """What one method says of the labels of a set.

    Attributes:
        score: (N,) higher = more likely wrong.
        seconds: all that it needed, parts that it shares with others included.
        probability: (N,) that a label is wrong, where the method has such a number.
        rate: share of wrong labels by its own estimate, and perhaps the interval of 90 % around it.
        low: its lower end.
        high: its upper end.
    """

    score: np.ndarray
    seconds: float
    probability: np.ndarray | None = None
    rate: float | None = None
    low: float | None = None
    high: float | None = None


def all_peers(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, n_classes: int, seed: int
) -> dict[str, Verdict]:
    """Every peer on the same vectors and labels.

    Args:
        vectors: (N, D) float32.
        labels: (N,) ints in [0, K), each class with some samples.
        groups: (N,) patients, for the rows with grouped folds alone.
        n_classes: K.
        seed: of the folds.
    """
    started = time.monotonic()
    found = neighbors.search(vectors, k=51)
    search = time.monotonic() - started
    votes = labels[found.indices]
    simple = {
        "kNN 10": lambda: Verdict(_disagreement(votes[:, :10], labels), 0),
        "kNN 50": lambda: Verdict(_disagreement(votes[:, :50], labels), 0),
        "WANN": lambda: Verdict(wann(votes, labels, n_classes=n_classes), 0),
        "SimiFeat vote": lambda: Verdict(simifeat_vote(votes[:, :10], labels, n_classes=n_classes), 0),
        "SimiFeat rank": lambda: simifeat_rank(votes, labels, n_classes=n_classes),
    }
    verdicts = {name: _timed(make, search) for name, make in simple.items()}
    verdicts["SelfClean"] = _timed(lambda: Verdict(selfclean(vectors, labels), 0))
    verdicts |= _cleanlab(vectors, labels, None, seed=seed)
    verdicts |= _cleanlab(vectors, labels, groups, seed=seed)
    verdicts["Datalab features"] = _timed(lambda: datalab(vectors, labels))
    return verdicts


def _timed(make, before: float = 0.0) -> Verdict:
    started = time.monotonic()
    made = make()
    return Verdict(**{**vars(made), "seconds": before + time.monotonic() - started})


def _disagreement(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (votes != labels[:, None]).mean(axis=1)


def _shares(votes: np.ndarray, n_classes: int) -> np.ndarray:
    return (votes[..., None] == np.arange(n_classes)).mean(axis=1)


def wann(votes: np.ndarray, labels: np.ndarray, *, n_classes: int) -> np.ndarray:
    """1 - reliability (Di Salvo et al. 2024, arXiv 2408.14358, section 3).

    Reliability is 1/k, k the smallest odd number from 11 to 51 with which a majority of the nearest neighbours gives
    the label; where none does, it is 0.
    """
    counts = np.cumsum(votes[..., None] == np.arange(n_classes), axis=1)
    sizes = np.arange(11, 52, 2)
    agrees = counts[:, sizes - 1].argmax(axis=2) == labels[:, None]
    smallest = sizes[agrees.argmax(axis=1)]
    return 1 - np.where(agrees.any(axis=1), 1 / smallest, 0)


def simifeat_vote(votes: np.ndarray, labels: np.ndarray, *, n_classes: int) -> np.ndarray:
    """Zhu et al. 2022, arXiv 2110.06283, section 3.1: the majority of k = 10 neighbours gives another label.

    The method only accepts or refuses; within each the share of the votes decides.
    """
    shares = _shares(votes, n_classes)
    refused = shares.argmax(axis=1) != labels
    return (refused + 1 - shares[np.arange(len(labels)), labels]) / 2


def simifeat_rank(votes: np.ndarray, labels: np.ndarray, *, n_classes: int) -> Verdict:
    """Zhu et al. 2022, arXiv 2110.06283, section 3.2: cosine of votes and label, cut per class at the rate of HOC.

    In each class the share P(truth differs | label) with the least cosine is refused; within the refused and the
    accepted the cosine decides.
    """
    shares = _shares(votes[:, :10], n_classes)
    cosine = shares[np.arange(len(labels)), labels] / np.maximum(np.linalg.norm(shares, axis=1), _TINY)
    transition, prior = hoc(labels, votes[:, :2], n_classes=n_classes)
    refused = np.zeros(len(labels), dtype=bool)
    for code in range(n_classes):
        rows = np.flatnonzero(labels == code)
        right = transition[code, code] * prior[code] / max((labels == code).mean(), _TINY)
        n_refused = round(len(rows) * (1 - min(right, 1.0)))
        refused[rows[np.argsort(cosine[rows], kind="stable")[:n_refused]]] = True
    return Verdict((refused + 1 - cosine) / 2, 0, rate=float(1 - prior @ np.diag(transition)))


def hoc(labels: np.ndarray, nearest: np.ndarray, *, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """T[true, given] and the classes' true shares (Zhu et al. 2021, arXiv 2102.05291, equations 4 to 7).

    They are those whose consensus of first, second and third order is nearest to how often a label and those of its two
    nearest neighbours (N, 2) occur together.
    """
    triples = np.zeros((n_classes,) * 3)
    np.add.at(triples, (labels, nearest[:, 0], nearest[:, 1]), 1 / len(labels))
    seen = triples.sum(axis=(1, 2)), triples.sum(axis=2), triples

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        logits = values.reshape(n_classes + 1, n_classes)
        rows = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows /= rows.sum(axis=1, keepdims=True)
        t, p = rows[:-1], rows[-1]
        r1 = p @ t - seen[0]
        r2 = np.einsum("k,ki,kj->ij", p, t, t) - seen[1]
        r3 = np.einsum("k,ki,kj,kl->ijl", p, t, t, t) - seen[2]
        d_p = t @ r1 + np.einsum("ij,ki,kj->k", r2, t, t) + np.einsum("ijl,ki,kj,kl->k", r3, t, t, t)
        turned = r3 + r3.transpose(1, 0, 2) + r3.transpose(1, 2, 0)
        d_t = p[:, None] * (r1 + t @ (r2 + r2.T) + np.einsum("ijl,kj,kl->ki", turned, t, t))
        slopes = 2 * np.concatenate([d_t, d_p[None]])
        through = rows * (slopes - (rows * slopes).sum(axis=1, keepdims=True))
        return float((r1**2).sum() + (r2**2).sum() + (r3**2).sum()), through.ravel()

    start = np.concatenate([2.0 * np.eye(n_classes), np.zeros((1, n_classes))])
    best = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    rows = np.exp(best.reshape(n_classes + 1, n_classes))
    rows /= rows.sum(axis=1, keepdims=True)
    return rows[:-1], rows[-1]


def selfclean(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """d_same^2 / (d_same^2 + d_other^2) (Groeger et al. 2024, arXiv 2305.17048, section 3).

    Cosine distances to the nearest other sample of the same and of any other class.
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
    distances = np.empty((2, len(labels)))
    for start in range(0, len(labels), 1024):
        rows = np.arange(start, min(start + 1024, len(labels)))
        apart = np.maximum(1 - unit[rows] @ unit.T, 0)
        apart[np.arange(len(rows)), rows] = np.inf
        same = labels[rows, None] == labels
        distances[0, rows] = np.where(same, apart, np.inf).min(axis=1)
        distances[1, rows] = np.where(same, np.inf, apart).min(axis=1)
    same, other = np.minimum(distances, 2) ** 2  # 2 is the largest distance there is
    return same / np.maximum(same + other, _TINY)


def out_of_fold(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, *, seed: int) -> np.ndarray:
    """(N, K) probabilities as cleanlab's tutorials make them of embeddings: logistic regression, five folds."""
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = list(kind(5, shuffle=True, random_state=seed).split(vectors, labels, groups))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=300)
        return cross_val_predict(model, vectors, labels, cv=folds, method="predict_proba")


def _cleanlab(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, *, seed: int) -> dict[str, Verdict]:
    from cleanlab.count import estimate_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    started = time.monotonic()
    probabilities = out_of_fold(vectors, labels, groups, seed=seed)
    fit = time.monotonic() - started
    rate = float(1 - np.trace(estimate_joint(labels, probabilities)))
    own = probabilities[np.arange(len(labels)), labels]
    end = "" if groups is None else ", grouped folds"
    verdicts = {}
    for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):

        def quality(method: str = method) -> Verdict:
            score = 1 - get_label_quality_scores(labels, probabilities, method=method)
            return Verdict(score, 0, probability=1 - own if method == "self_confidence" else None, rate=rate)

        verdicts[f"cleanlab {method}{end}"] = _timed(quality, fit)

    def issues() -> Verdict:
        found = find_label_issues(labels, probabilities, n_jobs=1)
        return Verdict((found + 1 - own) / 2, 0, rate=float(found.mean()))

    def joint() -> Verdict:
        """Cross-entropy minus entropy (Bernhardt et al. 2022, Nat Commun 13:1161)."""
        entropy = -(probabilities * np.log(np.maximum(probabilities, _TINY))).sum(axis=1)
        return Verdict(-np.log(np.maximum(own, _TINY)) - entropy, 0)

    verdicts[f"cleanlab find_label_issues{end}"] = _timed(issues, fit)
    verdicts[f"InnerEye joint{end}"] = _timed(joint, fit)
    return verdicts


def datalab(vectors: np.ndarray, labels: np.ndarray) -> Verdict:
    """cleanlab's Datalab with features only: its own neighbours' probabilities."""
    from cleanlab import Datalab

    lab = Datalab(data={"label": labels.tolist()}, label_name="label", verbosity=0)
    lab.find_issues(features=vectors, issue_types={"label": {}})
    issues = lab.get_issues("label")
    return Verdict(
        1 - issues["label_score"].to_numpy(), 0, rate=float(issues["is_label_issue"].to_numpy(dtype=bool).mean())
    )
