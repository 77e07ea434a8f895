"""What all other patients' scans make of a label: the default score, and where its probabilities come from.

Two families of logistic regressions, straight and curved, say out of fold which class a scan shows. They learned from
labels of which some are wrong; so the noise matrix is estimated with them, Bayes' rule turns class and given label into
p(wrong), and they learn again from labels that count as far as they are believed: suspects leave the vote.

In the first opinions, and so in the noise matrix, a label has no say on itself. When models learn again, what is
believed of others had that label among its teachers, so that a little of it comes back; models kept apart learn from
three fifths of the labels and find fewer errors (measured), in small sets too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssl_robust.neighbors import UnitRows
from ssl_robust.noise.anchors import Anchors, find_anchors
from ssl_robust.noise.likelihood import NoiseFit, fit_noise, fit_sharpness
from ssl_robust.probes.coordinates import kernel_coordinates, linear_coordinates
from ssl_robust.probes.folds import grouped_folds
from ssl_robust.probes.soft import SoftProbe, softmax

_LEAST = 1e-5  # probability below which opinions do not differ
_BEYOND_DOUBT = 30.0  # difference of logarithms that stays one however little opinions are sharpened
_FEWEST_ERRORS = 0.05  # of which no fit is less afraid


@dataclass(frozen=True)
class Opinion:
    """What is believed of N labels and of their noise.

    Attributes:
        posterior: (N, K) p(true class | scan, label as given), rows sum to one.
        views: logarithms of the first opinions, each (N, K): of all probes together, then of each alone.
        noise: the noise matrix, as fitted to the first of them.
        anchors: of the first of them.
        counts: (N,) bool, False for copies of a picture under a label that it has already: they are no witnesses.
    """

    posterior: np.ndarray
    views: list[np.ndarray] = field(repr=False)
    noise: NoiseFit
    anchors: Anchors
    counts: np.ndarray = field(repr=False)

    def wrong(self, labels: np.ndarray) -> np.ndarray:
        """(N,) probability that the label as given is wrong."""
        return 1 - self.posterior[np.arange(len(labels)), labels]

    def of(self, rows: np.ndarray) -> Opinion:
        """What is believed of some labels, given all."""
        return Opinion(self.posterior[rows], [each[rows] for each in self.views], self.noise, self.anchors,
                       self.counts[rows])  # fmt: skip


def form_opinion(
    unit: UnitRows, labels: np.ndarray, groups: np.ndarray, *, n_classes: int, probe: Mapping[str, Any],
    noise_model: Mapping[str, Any], seed: int, pictures: np.ndarray | None = None, answers: np.ndarray | None = None,
) -> Opinion:  # fmt: skip
    """Labels and vectors -> what is believed of each label.

    Nothing depends on the order of samples or classes: both are put into an order of their own, which follows from the
    vectors alone.

    Args:
        unit: N vectors.
        labels: (N,) ints in [0, K), as given.
        groups: (N,) ints; samples of one group (one patient and its duplicates) never judge each other.
        n_classes: K.
        probe: the node `probe` of configs/_opinion.yaml.
        noise_model: the node `noise_model` of configs/_opinion.yaml.
        seed: of folds and landmarks.
        pictures: (N,) codes from 0 of samples that show one picture, -1 for the others; None: no two do.
        answers: (N,) ints, classes that an expert has said, -1 where nobody was asked; None: nobody was. They teach
            in place of the labels and are believed; `labels` stay as they were given, since who was asked about is
            no accident: the noise of the others alone would be another one.
    """
    order = _order(unit, seed)
    classes = _class_order(labels[order], n_classes)
    given, own = np.argsort(classes)[labels[order]], _by_first(groups[order])
    said = np.full(len(given), -1)
    if answers is not None:
        said = np.append(np.argsort(classes), -1)[answers[order]]
    counts = _counts(given, np.full(len(given), -1) if pictures is None else pictures[order], said, n_classes)
    opinion = _form(unit, order, given, own, counts, said, n_classes, probe, noise_model, seed)
    return _as_given(opinion, np.argsort(order), classes)


def _form(
    unit: UnitRows, order: np.ndarray, labels: np.ndarray, groups: np.ndarray, counts: np.ndarray, said: np.ndarray,
    n_classes: int, probe: Mapping[str, Any], noise_model: Mapping[str, Any], seed: int,
) -> Opinion:  # fmt: skip
    """The opinion on samples and classes in their own order."""
    shown = np.flatnonzero(counts)
    folds = _folds(labels, groups, shown, n_folds=probe["folds"], seed=seed)
    drawn = np.sort(np.random.default_rng(seed).permutation(shown)[: probe["fitted_on"]])
    probes = _probes(unit, order, labels, n_classes, folds, shown, probe, seed)
    known = said >= 0
    taught = np.eye(n_classes, dtype=np.float32)[np.where(known, said, labels)]
    pairs = list(zip(probes, probe["penalties"], strict=True))
    views = [_log(each.out_of_fold(taught, penalty=penalty)) for each, penalty in pairs]
    together = np.mean(views, axis=0)
    anchors = find_anchors(softmax(together[counts]), labels[counts], **noise_model["anchors"])
    # Whose class is known says which label was written for it: an opinion beyond doubt.
    told = np.where(known[:, None], _BEYOND_DOUBT * taught, together) if known.any() else together
    noise = fit_noise(told[drawn], labels[drawn], anchors, settings=noise_model)
    posterior = np.where(known[:, None], taught, noise.posterior(together, labels))
    # The fewer errors there are, the more may be learned from the labels.
    rate = max(_FEWEST_ERRORS, 1 - float(posterior[np.arange(len(labels)), labels].mean()))
    for _ in range(probe["rounds"]):
        again = np.mean(
            [
                _log(each.out_of_fold(posterior, penalty=rate * penalty))
                for each, penalty in zip(probes, probe["penalties_again"], strict=True)
            ],
            axis=0,
        )
        fit = fit_sharpness(again[drawn], labels[drawn], noise, settings=noise_model)
        posterior = np.where(known[:, None], taught, fit.posterior(again, labels))
    return Opinion(posterior, [together, *views], noise, anchors, counts)


def _probes(
    unit: UnitRows, order: np.ndarray, labels: np.ndarray, n_classes: int, folds: np.ndarray, shown: np.ndarray,
    probe: Mapping[str, Any], seed: int,
) -> list[SoftProbe]:  # fmt: skip
    """The straight and the curved one."""
    fitted = shown[_shown(labels[shown], n_classes, most=probe["fitted_on"], seed=seed)]
    sizes, n_fitted = (np.bincount(labels[rows], minlength=n_classes) for rows in (shown, fitted))
    stands_for = (sizes / np.maximum(n_fitted, 1) * (len(fitted) / len(shown)))[labels[fitted]]
    straight, curved = (unit.again(order, center=center) for center in (False, True))
    landmarks = np.sort(np.random.default_rng(seed).permutation(fitted)[: probe["landmarks"]])
    line = linear_coordinates(straight, fitted, n_coordinates=probe["coordinates"])
    curve = kernel_coordinates(curved, landmarks, fitted, gamma=probe["gamma"])
    return [SoftProbe(straight, line, folds, fitted, stands_for), SoftProbe(curved, curve, folds, fitted, stands_for)]


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(probabilities + np.float32(_LEAST))


def _shown(labels: np.ndarray, n_classes: int, *, most: int, seed: int) -> np.ndarray:
    """Rows that models are fitted to, ascending: all, or so many, among which rare classes keep enough."""
    if len(labels) <= most:
        return np.arange(len(labels))
    drawn = np.random.default_rng(seed).permutation(len(labels))
    of_class = drawn[np.argsort(labels[drawn], kind="stable")]
    sizes = np.bincount(labels, minlength=n_classes)
    place = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rare = of_class[place < most // (4 * n_classes)]
    others = drawn[~np.isin(drawn, rare)]
    return np.sort(np.concatenate([rare, others[: most - len(rare)]]))


def _folds(labels: np.ndarray, groups: np.ndarray, shown: np.ndarray, *, n_folds: int, seed: int) -> np.ndarray:
    """(N,) folds as they are without copies, each of which lies in a group with its original."""
    of_group = np.empty(int(groups.max()) + 1, dtype=np.int64)
    of_group[groups[shown]] = grouped_folds(labels[shown], groups[shown], n_folds=n_folds, seed=seed)
    return of_group[groups]


def _counts(labels: np.ndarray, pictures: np.ndarray, said: np.ndarray, n_classes: int) -> np.ndarray:
    """(N,) bool, one of the samples that show one picture under one label: one that an expert has answered, if any."""
    places = np.arange(len(labels))
    of_what = np.where(pictures < 0, places, len(labels) + pictures * n_classes + labels)
    best = np.lexsort((places, said < 0))
    return np.isin(places, best[np.unique(of_what[best], return_index=True)[1]])


def _order(unit: UnitRows, seed: int) -> np.ndarray:
    """An order of the rows that hangs on their vectors alone: along a direction drawn at random."""
    direction = np.random.default_rng(seed).normal(size=unit.dim).astype(np.float32)
    bare = unit.again(np.arange(len(unit)), center=False)  # a mean hangs on the other rows
    along = np.concatenate([(bare.take(block) * direction).sum(axis=1) for block in bare.blocks()])
    return np.argsort(along, kind="stable")


def _by_first(codes: np.ndarray) -> np.ndarray:
    """Codes numbered by where they occur first, without gaps."""
    _, first, places = np.unique(codes, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[places]


def _class_order(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """(K,) classes by where they occur first, those that do not occur last."""
    present, first = np.unique(labels, return_index=True)
    ordered = present[np.argsort(first)]
    return np.concatenate([ordered, np.setdiff1d(np.arange(n_classes), ordered)])


def _as_given(opinion: Opinion, back: np.ndarray, classes: np.ndarray) -> Opinion:
    """The opinion in the order of samples and classes in which they came."""
    place = np.argsort(classes)
    turned = [each[back][:, place] for each in (opinion.posterior, *opinion.views)]
    noise = opinion.noise
    fit = NoiseFit(noise.transition[np.ix_(place, place)], noise.sharpness, noise.shifts[place], noise.parameters)
    of = opinion.anchors
    anchors = Anchors(of.shares[place], of.bounds[place], of.labels[np.ix_(place, place)])
    return Opinion(turned[0], turned[1:], fit, anchors, opinion.counts[back])
