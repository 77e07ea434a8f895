"""Features -> every protocol's measures with intervals, and how much better the first features are than the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ssl_robust import metrics
from ssl_robust.run import progress
from ssl_robust.transfer.protocols import Problem, Protocol, make_protocols, predict
from ssl_robust.transfer.resampling import MEASURES, measures, resampled_counts

COLUMNS = ("features", "minus", "protocol", "n_train_scans", "n_train_patients", "measure", "value", "low", "high")
_FEWEST_GROUPS = 2  # of one patient every draw is the same, which would pass for certainty


@dataclass(frozen=True)
class Results:
    """What was found.

    Attributes:
        rows: see `COLUMNS`: one per features, protocol and measure, and with `minus` named, the paired difference
            between the features and those that it names. Scans and patients are means over the draws.
        protocols: in the order of the rows.
        probabilities: (features, protocol) -> (n_draws, m, K) of the test rows.
        draws: (features, protocol) -> balanced accuracy of each draw of the protocol.
    """

    rows: list[dict[str, Any]]
    protocols: list[Protocol]
    probabilities: dict[tuple[str, str], np.ndarray]
    draws: dict[tuple[str, str], np.ndarray]

    def table(self) -> pd.DataFrame:
        """The rows as a table, `minus` NA where the row is no difference."""
        texts = dict.fromkeys(("features", "minus", "protocol", "measure"), "string")
        return pd.DataFrame(self.rows, columns=list(COLUMNS)).astype(texts)


def compare(features: Mapping[str, np.ndarray], problem: Problem, *, settings: Mapping[str, Any]) -> Results:
    """Fit on the training rows, measure on the test rows, resample the test rows' patients.

    The interval is of the test patients, the classifiers staying as they are: it does not tell how much another
    training split, another pretraining or another random encoder would change. Measures of several draws of few
    labels are averaged, within each resample as well.

    Args:
        features: name -> (N, D); the first is compared with each of the others.
        problem: what is fitted to and measured.
        settings: `knn`, `few_labels`, `few_draws`, `bootstrap` and `seed` of configs/probe.yaml.
    """
    protocols = make_protocols(
        problem, few_labels=settings["few_labels"], few_draws=settings["few_draws"], seed=settings["seed"]
    )
    # One array under two names, as where the encoder is the random one, is looked at once.
    same = {name: next(other for other in features if features[other] is features[name]) for name in features}
    distinct = {name: features[name] for name in same.values()}
    predicted = _predicted(distinct, problem, protocols, settings)
    resampled = _resampled(predicted, problem, settings)
    keys = [(name, protocol.name) for name in features for protocol in protocols]
    probabilities = {(name, protocol): predicted[same[name], protocol] for name, protocol in keys}
    found = {(name, protocol): resampled[same[name], protocol] for name, protocol in keys}
    means = {key: {measure: values.mean(axis=0) for measure, values in each.items()} for key, each in found.items()}
    rows = _rows(means, protocols, problem, settings["bootstrap"]["level"])
    draws = {key: each["balanced_accuracy"][:, 0] for key, each in found.items()}
    return Results(rows, protocols, probabilities, draws)


def _predicted(
    features: Mapping[str, np.ndarray], problem: Problem, protocols: list[Protocol], settings: Mapping[str, Any]
) -> dict[tuple[str, str], np.ndarray]:
    """(features, protocol) -> (n_draws, m, K)."""
    tasks = [(name, protocol) for name in features for protocol in protocols]
    return {
        (name, protocol.name): np.stack(
            [predict(features[name], problem, protocol, rows, knn=settings["knn"], seed=settings["seed"])
             for rows in protocol.fitted_to]
        )
        for name, protocol in progress(tasks, total=len(tasks), what="probes")
    }  # fmt: skip


def _resampled(
    probabilities: Mapping[tuple[str, str], np.ndarray], problem: Problem, settings: Mapping[str, Any]
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """(features, protocol) -> measure -> (n_draws, 1 + R), all of the same resamples, the whole test set first."""
    labels, groups = problem.truth[problem.test], problem.groups[problem.test]
    n_resamples = settings["bootstrap"]["n_resamples"]
    parts: dict[Any, list[list[dict[str, np.ndarray]]]] = {key: [] for key in probabilities}
    for counts in resampled_counts(groups, n_resamples=n_resamples, seed=settings["seed"]):
        for key, drawn in probabilities.items():
            parts[key].append([measures(labels, each, counts) for each in drawn])
    return {
        key: {
            measure: np.stack([np.concatenate([block[i][measure] for block in blocks]) for i in range(len(blocks[0]))])
            for measure in MEASURES
        }
        for key, blocks in parts.items()
    }


def _rows(
    means: Mapping[tuple[str, str], Mapping[str, np.ndarray]], protocols: list[Protocol], problem: Problem, level: float
) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(name for name, _ in means))
    pairs = [(name, None) for name in names] + [(names[0], other) for other in names[1:]]
    several = len(np.unique(problem.groups[problem.test])) >= _FEWEST_GROUPS
    rows = []
    for name, other in pairs:
        for protocol in protocols:
            facts = protocol.describe(problem)
            counts = (float(np.mean(facts["n_scans"])), float(np.mean(facts["n_patients"])))
            for measure in MEASURES:
                values = means[name, protocol.name][measure]
                if other is not None:
                    values = values - means[other, protocol.name][measure]
                interval = metrics.percentile_interval(float(values[0]), values[1:] if several else values[:0], level)
                row = (name, other, protocol.name, *counts, measure, *interval)
                rows.append(dict(zip(COLUMNS, row, strict=True)))
    return rows
