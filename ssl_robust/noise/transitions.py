"""The kinds of label noise as a matrix T[true, given]; one function per file of `configs/noise/`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl_robust.noise.instances import InstanceDependent
from ssl_robust.noise.recorded_labels import RecordedLabels
from ssl_robust.settings import choices, defaults
from ssl_robust.targets import resolve

BY = ("sample", "patient")


@dataclass(frozen=True)
class Noise:
    """A kind of noise with its settings, ready to be drawn.

    Attributes:
        chances: (K, K) T[true, given]; what gives each sample a row of its own; or the labels themselves.
        rate: the rate asked for; 0.0 for none, NaN where a matrix or the labels were given.
        by: sample or patient: who flips alone.
        seed: of the draws; None: the run's.
    """

    chances: np.ndarray | InstanceDependent | RecordedLabels
    rate: float
    by: str
    seed: int | None


def none(classes: Sequence[Any]) -> np.ndarray:
    """No noise: the (K, K) identity."""
    return np.eye(len(classes))


def symmetric(classes: Sequence[Any], *, rate: float) -> np.ndarray:
    """A label becomes each of the other classes with probability rate / (K - 1).

    Drawn over the *other* classes: a draw over all of them would make 50 % really 45 % with ten classes.

    Args:
        classes: the K classes.
        rate: probability of a wrong label, in [0, 1 - 1/K): from there on the given label says nothing of the truth.

    Returns:
        (K, K), rows sum to one.

    Raises:
        ValueError: a rate outside that range.
    """
    n_classes = len(classes)
    _check_rate(rate, n_classes)
    return np.eye(n_classes) * (1 - rate) + (1 - np.eye(n_classes)) * rate / max(1, n_classes - 1)


def class_dependent(
    classes: Sequence[Any],
    *,
    rate: float,
    class_groups: Sequence[Sequence[Any]] | None,
    matrix: Sequence[Sequence[float]] | None,
) -> np.ndarray:
    """A label becomes that of a class with which it is easily confused.

    Args:
        classes: the K classes, names or codes.
        rate: probability of a wrong label of a class that has others to be confused with.
        class_groups: lists of classes that are confused with one another, each with equal probability; a class that
            is in none of them stays clean. None: every class is taken for the next one, the last for the first
            (pair flip, Han et al. 2018, arXiv 1804.06872, appendix A).
        matrix: T[true, given] itself, rows and columns in the order of the classes; then the two others do not count.

    Returns:
        (K, K), rows sum to one.

    Raises:
        ValueError: a class that does not exist or is in two groups; a rate at which the given label is no longer the
            likeliest truth; a matrix of another shape, or whose rows do not sum to one.
    """
    n_classes = len(classes)
    if matrix is not None:
        return checked_matrix(matrix, n_classes)
    result = np.eye(n_classes)
    if class_groups is None:
        _check_rate(rate, min(2, n_classes))
        return (1 - rate) * result + rate * np.roll(result, 1, axis=1)
    groups = _codes_of(class_groups, classes)
    for group in groups:
        if len(group) > 1:
            _check_rate(rate, len(group))
            result[np.ix_(group, group)] = rate / (len(group) - 1)
            result[group, group] = 1 - rate
    return result


def raters(
    classes: Sequence[Any], *, matrix: str | Sequence[Sequence[float]], readers: Mapping[str, Sequence[Sequence[float]]]
) -> np.ndarray:
    """A label becomes what a real reader calls such a scan.

    Args:
        classes: the K classes; those of a reader's matrix and these are matched in their order.
        matrix: the name of one of `readers`, or P(reader says | truth) itself.
        readers: published matrices by name. They are never stretched or cut to another number of classes: what came
            out would be no reader's any more.

    Returns:
        (K, K), rows sum to one.

    Raises:
        ValueError: an unknown name; a matrix for another number of classes, or whose rows do not sum to one.
    """
    if not isinstance(matrix, str):
        return checked_matrix(matrix, len(classes))
    if matrix not in readers:
        raise ValueError(f"matrix={matrix!r} is no reader; expected one of {', '.join(readers)}, or a row per class")
    if len(readers[matrix]) != len(classes):
        raise ValueError(
            f"the reader {matrix!r} tells {len(readers[matrix])} classes apart and the labels have {len(classes)}; "
            "give matrix= a table of your own, a row per class"
        )
    return checked_matrix(readers[matrix], len(classes))


def instance_dependent(classes: Sequence[Any], *, rate: float, std: float, side: int) -> InstanceDependent:
    """A label becomes that of the class which the scan itself is nearest to, by projections drawn at random.

    Xia et al. 2020, arXiv 2006.07836, algorithm 2. Of two classes there is one other only, so that there this is
    symmetric noise with a rate that differs between samples.

    Args:
        classes: the K classes.
        rate: mean probability of a wrong label, in [0, 1 - 1/K).
        std: of the normal distribution that the samples' rates are drawn from, cut to [0, 1].
        side: scans are shrunk to side x side pixels first.

    Raises:
        ValueError: a rate outside that range, a spread or side that is not positive.
    """
    _check_rate(rate, len(classes))
    for name, value in (("std", std), ("side", side)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise ValueError(f"{name}={value} does not fit; expected a number above zero")
    return InstanceDependent(rate=float(rate), std=float(std), side=int(side), n_classes=len(classes))


def noise_of(kind: str, classes: Sequence[Any], settings: Mapping[str, Any]) -> Noise:
    """A kind of noise with what differs from its file.

    Args:
        kind: name of a file of `configs/noise/`.
        classes: the K classes.
        settings: what differs from that file.

    Raises:
        ValueError: an unknown kind or setting, or a setting that no noise can have.
    """
    if kind not in choices("noise"):
        raise ValueError(f"kind={kind!r} is no kind of noise; expected one of {', '.join(choices('noise'))}")
    values = defaults("noise", kind)
    build = resolve("noise", values)
    del values["_target_"]
    unknown = sorted(set(settings) - set(values))
    if unknown:
        raise ValueError(f"kind={kind!r} takes no {unknown[0]}; it takes {', '.join(values) or 'nothing'}")
    values |= settings
    by = values.pop("by", BY[0])
    if by not in BY:
        raise ValueError(f"by={by!r} does not fit; expected {' or '.join(BY)}")
    seed = values.pop("seed", None)
    chances = build(classes, **values)
    stated = values.get("matrix") is None and not isinstance(chances, RecordedLabels)
    return Noise(chances, float(values.get("rate", 0.0)) if stated else float("nan"), by, seed)


def check_share(rate: Any) -> None:
    """Refuse a rate that no number of classes allows, before they are known.

    Raises:
        ValueError: it is no number from 0 to 1.
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise ValueError(f"rate={rate} is not a number; expected the share of wrong labels, e.g. 0.2")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate={rate:g} is not a share; expected a number from 0 to 1, e.g. 0.2")


def _check_rate(rate: float, n_classes: int) -> None:
    """Up to 1 - 1/K the given label is the likeliest truth (with equal class sizes)."""
    check_share(rate)
    if rate and rate >= 1 - 1 / max(1, n_classes):
        raise ValueError(
            f"rate={rate:g} among {n_classes} classes leaves nothing to learn; expected less than 1 - 1/{n_classes} = "
            f"{1 - 1 / n_classes:.3g}"
        )


def checked_matrix(matrix: Sequence[Sequence[float]], n_classes: int, *, name: str = "matrix") -> np.ndarray:
    """A table that a user gave -> T[true, given].

    Args:
        matrix: a row per class.
        n_classes: K.
        name: of the option, for messages.

    Returns:
        (K, K), rows sum to one.

    Raises:
        ValueError: no table of numbers, another shape, or a row that does not sum to one.
    """
    try:
        result = np.array([[float(value) for value in row] for row in matrix])
    except (TypeError, ValueError):
        raise ValueError(f"{name}={matrix} is not a table of numbers; expected {n_classes} rows of numbers") from None
    if result.shape != (n_classes, n_classes):
        raise ValueError(
            f"{name} has shape {result.shape} for {n_classes} classes; expected {n_classes} rows and columns"
        )
    if (result < 0).any() or not np.allclose(result.sum(axis=1), 1, atol=1e-6):
        row = int(np.flatnonzero((result < 0).any(axis=1) | ~np.isclose(result.sum(axis=1), 1, atol=1e-6))[0])
        raise ValueError(
            f"row {row + 1} of {name} is {result[row].tolist()} with sum {result[row].sum():g}; "
            "expected probabilities that sum to 1"
        )
    return result / result.sum(axis=1, keepdims=True)


def _codes_of(class_groups: Sequence[Sequence[Any]], classes: Sequence[Any]) -> list[list[int]]:
    names = [str(each) for each in classes]
    groups, seen = [], set()
    for group in class_groups:
        if isinstance(group, str) or not isinstance(group, Sequence):
            raise ValueError(f"class_groups={class_groups} is not a list of lists; expected e.g. [[a,b],[c,d,e]]")
        for each in map(str, group):
            if each not in names:
                near = difflib.get_close_matches(each, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"the classes are {', '.join(names)}"
                raise ValueError(f"class_groups names a class {each!r} that does not exist; {hint}")
            if each in seen:
                raise ValueError(f"class_groups names the class {each!r} twice; a class is in one group at most")
            seen.add(each)
        groups.append([names.index(str(each)) for each in group])
    return groups
