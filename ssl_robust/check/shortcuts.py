"""Does something that is no sign of a disease tell the classes apart: the size of the file, its kind, its margins?

A network finds such a shortcut before it finds the disease. Each is given alone to a small decision tree, which
predicts scans of patients that it has not seen; what chance would reach is 1 / classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.tree import DecisionTreeClassifier

from ssl_robust.check.appearance import Appearance
from ssl_robust.check.files import NUMBERS
from ssl_robust.check.findings import Finding, found
from ssl_robust.metrics import class_recalls, percentile_interval

_VALUES = 20  # of a text that are told apart, the most frequent ones
_IN_PIXELS = "brightness and color"  # may well be the disease itself


@dataclass(frozen=True)
class Shortcut:
    """How well one property alone predicts the label.

    Attributes:
        name: of the property.
        estimate: balanced accuracy on patients that were not learned from.
        low: lower end of its interval.
        high: upper end.
        chance: what guessing reaches.
    """

    name: str
    estimate: float
    low: float
    high: float
    chance: float

    def skill(self, value: float) -> float:
        """A balanced accuracy as share of the way from chance to 1."""
        return (value - self.chance) / (1 - self.chance)


def properties(facts: pd.DataFrame, folders: np.ndarray | None, look: Appearance) -> dict[str, np.ndarray]:
    """Name -> (N, D) numbers, NaN where unknown; those that are the same for all scans are left out.

    Args:
        facts: as `ssl_robust.check.files.file_facts` returns them.
        folders: (N,) codes, or None.
        look: of all scans.
    """
    texts = [name for name in facts if name not in NUMBERS]
    named: dict[str, Any] = {
        "file size in bytes": facts[["bytes"]].to_numpy(dtype=float),
        "size in pixels": facts[["height", "width"]].to_numpy(dtype=float),
        "kind of file": _one_hot(facts.filter(texts)) if texts else None,
        "folder": None if folders is None else _one_hot(pd.DataFrame({"folder": folders})),
        "margins": look.margins.astype(float),
        _IN_PIXELS: look.levels.astype(float),
    }
    return {name: values for name, values in named.items() if values is not None and _varies(values)}


def find_shortcuts(
    named: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, settings: Mapping[str, Any], *, seed: int
) -> list[Shortcut]:
    """Balanced accuracy of each property alone, the best first; none where fewer than two classes can be judged.

    Args:
        named: (N, D) numbers each.
        labels: (N,) codes, -1 = no label, left out.
        groups: (N,) patient codes; no patient is learned from and predicted.
        settings: the node `shortcuts` of configs/check.yaml.
        seed: of the folds and of the interval.
    """
    rows = _judged(labels, groups, settings["folds"])
    classes, codes = np.unique(labels[rows], return_inverse=True)
    if len(classes) < 2:
        return []
    inside = pd.factorize(groups[rows])[0]
    folds = _folds(codes, inside, settings["folds"], seed)
    answer = []
    for name, values in named.items():
        predicted = np.empty(len(rows), dtype=np.int64)
        for learned, asked in folds:
            tree = DecisionTreeClassifier(
                max_leaf_nodes=settings["leaves"], min_samples_leaf=settings["leaf_size"], class_weight="balanced",
                random_state=seed,
            )  # fmt: skip
            tree.fit(values[rows[learned]], codes[learned])
            predicted[asked] = tree.predict(values[rows[asked]])
        estimate = float(np.nanmean(class_recalls(codes, predicted, n_classes=len(classes))))
        draws = _draws(codes, predicted, inside, settings["n_resamples"], seed)
        answer.append(Shortcut(name, *percentile_interval(estimate, draws, settings["level"]), 1 / len(classes)))
    return sorted(answer, key=lambda each: -each.estimate)


def judge_shortcuts(shortcuts: list[Shortcut], settings: Mapping[str, Any]) -> list[Finding]:
    """What a property that predicts the class means.

    Args:
        shortcuts: as `find_shortcuts` returns them.
        settings: the node `shortcuts` of configs/check.yaml.
    """
    findings = []
    for each in shortcuts:
        if each.low <= each.chance or each.skill(each.estimate) < settings["look"]:
            continue
        severity = "problem" if each.skill(each.low) >= settings["problem"] else "look"
        remedy = "were the classes made or saved in different places? Make them alike"
        if each.name == _IN_PIXELS:
            severity, remedy = "look", "the disease, or the device? An encoder has to beat it (ssl-robust probe)"
        interval = f"{settings['level']:.0%} interval {each.low:.2f} to {each.high:.2f}"
        numbers = f"balanced accuracy {each.estimate:.2f} against {each.chance:.2f} by chance ({interval})"
        text = f"The class can be told from the {each.name} alone: {numbers}; {remedy}"
        findings.append(found(severity, "shortcuts", text))
    if shortcuts and not findings:
        tried = " or ".join(each.name for each in shortcuts)
        findings.append(found("fine", "shortcuts", f"The class cannot be told from {tried} alone"))
    return findings


def _judged(labels: np.ndarray, groups: np.ndarray, n_folds: int) -> np.ndarray:
    """Rows of the classes that have a patient for each fold."""
    known = np.flatnonzero(labels >= 0)
    pairs = np.unique(np.stack([labels[known], groups[known]]), axis=1)
    classes, n_patients = np.unique(pairs[0], return_counts=True)
    return known[np.isin(labels[known], classes[n_patients >= n_folds])]


def _folds(codes: np.ndarray, groups: np.ndarray, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(codes, codes, groups))


def _draws(codes: np.ndarray, predicted: np.ndarray, groups: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Balanced accuracy of sets of patients that are drawn with replacement."""
    rng, n_groups = np.random.default_rng(seed), int(groups.max()) + 1
    right = codes == predicted
    draws = np.empty(n_draws)
    for draw in range(n_draws):
        weights = np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)[groups]
        n, hits = np.bincount(codes, weights), np.bincount(codes, weights * right)
        draws[draw] = np.mean(hits[n > 0] / n[n > 0])
    return draws


def _one_hot(texts: pd.DataFrame) -> np.ndarray:
    columns = []
    for name in texts:
        for value in texts[name].value_counts().index[:_VALUES]:
            columns.append((texts[name] == value).to_numpy(dtype=float))
    return np.stack(columns, axis=1) if columns else np.zeros((len(texts), 0))


def _varies(values: np.ndarray) -> bool:
    """Whether any column holds two different numbers."""
    known = [column[~np.isnan(column)] for column in values.T]
    return any(len(column) > 1 and np.ptp(column) > 0 for column in known)
