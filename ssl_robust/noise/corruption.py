"""Clean labels -> noisy labels, for experiments whose truth is known.

A kind of noise is a matrix T[true, given], or a row of one for each sample. The draw of a sample is a hash of the seed
and its id, so that it is the same whatever the order of the samples and whichever others there are, and so that the
labels which are wrong at a rate of 20 % are among those that are wrong at 40 %: rates are compared on the same samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ssl_robust.noise.instances import InstanceDependent
from ssl_robust.noise.recorded_labels import RecordedLabels
from ssl_robust.noise.transitions import Noise, noise_of
from ssl_robust.run import UserError

if TYPE_CHECKING:
    from ssl_robust.data.manifest import Manifest


@dataclass(frozen=True)
class Corruption:
    """Noisy labels and what was done to get them.

    Attributes:
        labels: (N,) int64 codes after the noise, -1 where there was no label.
        flipped: (N,) bool, where the label was changed.
        realised_rate: share of the labels open to noise that were changed.
        transition: (K, K) realised T[true, given] of the labels open to noise; rows sum to one, NaN where a class has
            no such label.
        kind: a file of `configs/noise/`.
        rate: the rate asked for; NaN where a matrix or the labels were given.
        by: sample or patient: who flips alone.
    """

    labels: np.ndarray
    flipped: np.ndarray
    realised_rate: float
    transition: np.ndarray
    kind: str
    rate: float
    by: str


def corrupt(
    labels: Sequence[int] | np.ndarray,
    *,
    kind: str,
    seed: int,
    n_classes: int | None = None,
    classes: Sequence[str] | None = None,
    ids: Sequence[Any] | np.ndarray | None = None,
    groups: Sequence[Any] | np.ndarray | pd.Series | None = None,
    features: np.ndarray | None = None,
    **settings: Any,
) -> Corruption:
    """Labels -> labels of which some are wrong.

    Args:
        labels: (N,) int codes in [0, K); -1 = no label, stays so.
        kind: a file of `configs/noise/`: none, symmetric, class_dependent, instance_dependent or raters.
        seed: same seed, same ids: same noise.
        n_classes: K; the largest label + 1 where None.
        classes: K names, where the settings speak of classes by name.
        ids: (N,) what a sample's draw hangs on; its position where None. Samples of one id share their draw.
        groups: (N,) patients, for `by="patient"`: their ids take the place of the samples', so that all scans of a
            patient flip together; one whose patient is missing flips alone.
        features: (N, D) vectors or (N, S, S, C) scans, for noise that hangs on them.
        settings: what the kind takes (`rate`, `by`, `class_groups`, `matrix`), in place of the values of its YAML.

    Raises:
        ValueError: lengths differ (the message states both), an unknown kind or setting, or a setting that no noise
            can have.
    """
    codes = np.asarray(labels)
    if codes.ndim != 1 or (len(codes) and codes.dtype.kind not in "iu"):
        raise ValueError(f"expected labels as (N,) ints, got shape {codes.shape} of {codes.dtype}")
    codes = codes.astype(np.int64)
    largest = int(codes.max(initial=-1)) + 1
    n_classes = n_classes or (len(classes) if classes else largest)
    if largest > n_classes or codes.min(initial=0) < -1:
        raise ValueError(f"labels lie in [{codes.min()}, {codes.max()}], expected -1 or [0, {n_classes})")
    ids = range(len(codes)) if ids is None else ids
    for name, values in (("ids", ids), ("groups", groups), ("features", features)):
        if values is not None and len(values) != len(codes):
            raise ValueError(f"there are {len(codes)} labels and {len(values)} {name}; expected one each")
    noise = noise_of(kind, classes or range(n_classes), settings)
    drawn_by, vectors = _drawn_by(noise.by, ids, groups), _vectors(noise, features)
    given = _draw(codes, noise.chances, seed=seed, ids=drawn_by, vectors=vectors)
    return _described(codes, given, np.ones(len(codes), dtype=bool), kind=kind, noise=noise, n_classes=n_classes)


def noise_labels(
    manifest: Manifest, noise: Mapping[str, Any], seed: int, features: np.ndarray | None = None
) -> Corruption:
    """Add noise to the labels of train and val; test and scans without a label stay as they are.

    Args:
        manifest: the scans.
        noise: the `noise` node of a configuration.
        seed: same seed, same sample ids: same noise; `noise.seed` takes its place where it is given.
        features: (N, S, S, C) scans, perhaps a memory map, or (N, D) vectors, for noise that hangs on them.

    Returns:
        Labels of every row of the manifest; rate and transition are of train and val.

    Raises:
        UserError: a setting does not fit, there is only one class, or a class is lost from the training split.
    """
    settings = dict(noise)
    kind = str(settings.pop("_target_", "")).rpartition(".")[2]
    clean = manifest.codes()
    table = manifest.table
    open_to_noise = table["split"].isin(["train", "val"]).to_numpy(dtype=bool)
    if kind != "none" and len(np.unique(clean[clean >= 0])) < 2:
        raise UserError("the scans have labels of fewer than two classes, so no label can be wrong; set noise=none")
    rows = np.flatnonzero(open_to_noise)
    ids = table["sample_id"].to_numpy()[rows]
    patients = table["patient_id"].to_numpy(dtype=object)[rows] if manifest.has_patients else None
    given = clean.copy()
    try:
        chosen = noise_of(kind, manifest.classes, settings)
        if chosen.by == "patient" and patients is None:
            raise ValueError("by=patient, but no patient is known; name the column with data.columns.patient_id=")
        drawn_by = _drawn_by(chosen.by, ids, patients)
        vectors = _vectors(chosen, features)
        vectors = None if vectors is None else vectors[rows]
        seed = seed if chosen.seed is None else chosen.seed
        given[rows] = _draw(clean[rows], chosen.chances, seed=seed, ids=drawn_by, vectors=vectors)
    except ValueError as error:
        raise UserError(f"noise={kind}: {error}") from None
    train = manifest.rows("train")
    lost = sorted(set(clean[train]) - set(given[train]) - {-1})
    if lost:
        raise UserError(
            f"the noise leaves no training scan labelled {manifest.classes[lost[0]]!r} "
            f"({(clean[train] == lost[0]).sum()} before); lower noise.rate or take another noise.seed"
        )
    return _described(clean, given, open_to_noise, kind=kind, noise=chosen, n_classes=len(manifest.classes))


def _drawn_by(
    by: str, ids: Sequence[Any] | np.ndarray | range, groups: Sequence[Any] | np.ndarray | pd.Series | None
) -> Sequence[Any] | np.ndarray | range:
    """What each sample's draw hangs on."""
    if by == "sample":
        return ids
    if groups is None:
        raise ValueError("by='patient' makes all scans of a patient flip together; give groups=, a patient per label")
    patients = np.asarray(groups, dtype=object)
    return np.where(pd.isna(patients), np.asarray(ids, dtype=object), patients)


def _vectors(noise: Noise, features: np.ndarray | None) -> np.ndarray | None:
    """What the noise looks at, None where it does not look."""
    if not isinstance(noise.chances, InstanceDependent):
        return None
    if features is None:
        raise ValueError("instance-dependent noise hangs on what the samples look like; give features=, their vectors "
                         "(N, D) or scans (N, S, S, C)")  # fmt: skip
    return noise.chances.standardised(np.asanyarray(features))


def _draw(
    codes: np.ndarray,
    chances: np.ndarray | InstanceDependent | RecordedLabels,
    *,
    seed: int,
    ids: Sequence[Any] | np.ndarray | range,
    vectors: np.ndarray | None,
) -> np.ndarray:
    """Each sample's given label, by uniform numbers of its own: whether it flips, and where to."""
    if isinstance(chances, RecordedLabels):
        return chances.given(codes, ids)
    given = codes.copy()
    rates = np.empty(0)
    if isinstance(chances, InstanceDependent):
        rates = chances.rates(_uniform(f"{seed}/rate", ids)[:, 0])
    elif not (chances - np.diag(np.diag(chances))).any():
        return given  # nothing flips; a million hashes take seconds
    uniform = _uniform(seed, ids)
    for code in np.unique(codes[codes >= 0]):
        rows = np.flatnonzero(codes == code)
        if isinstance(chances, InstanceDependent):
            assert vectors is not None
            wrong = chances.wrong(code, vectors[rows], rates[rows], seed=seed)
        else:
            wrong = np.array(chances[None, code])  # one row for all of them
            wrong[:, code] = 0
        flips = uniform[rows, 0] < wrong.sum(axis=1)
        wrong, rows = np.broadcast_to(wrong, (len(rows), wrong.shape[1]))[flips], rows[flips]
        given[rows] = _places(wrong, uniform[rows, 1])
    return given


def _places(wrong: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """(n, K) weights of the classes -> (n,) one of them each, by a uniform number."""
    cumulative = np.cumsum(wrong, axis=1) / wrong.sum(axis=1, keepdims=True)
    # The last class with any probability takes what rounding leaves above the cumulative sum.
    last = wrong.shape[1] - 1 - (wrong[:, ::-1] > 0).argmax(axis=1)
    return np.minimum((cumulative <= uniform[:, None]).sum(axis=1), last)


def _uniform(seed: int | str, ids: Sequence[Any] | np.ndarray | range) -> np.ndarray:
    """(N, 2) numbers in [0, 1), a hash of the seed and each id."""
    digests = [hashlib.blake2b(f"{seed}/{each}".encode("utf-8", "surrogatepass"), digest_size=16) for each in ids]
    whole = np.frombuffer(b"".join(each.digest() for each in digests), dtype="<u8").reshape(-1, 2)
    return (whole >> np.uint64(11)) * 2.0**-53


def _described(
    clean: np.ndarray, given: np.ndarray, open_to_noise: np.ndarray, *, kind: str, noise: Noise, n_classes: int
) -> Corruption:
    touched = open_to_noise & (clean >= 0)
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (clean[touched], given[touched]), 1)
    totals = counts.sum(axis=1, keepdims=True)
    transition = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    flipped = given != clean
    realised = float(flipped[touched].mean()) if touched.any() else 0.0
    return Corruption(given, flipped, realised, transition, kind, noise.rate, noise.by)
